// What the person calls channels; kept in the address: names=stage3/121=dark band~stage2/4=eye.
import { address, go } from "./address";

function all(): Map<string, string> {
  const pairs = String(address.value.names ?? "")
    .split("~")
    .filter(Boolean)
    .map((one) => [one.slice(0, one.indexOf("=")), one.slice(one.indexOf("=") + 1)] as const);
  return new Map(pairs);
}

/** The person's name for a channel; "" where it has none. */
export function nameOf(layer: string, channel: number): string {
  return all().get(`${layer}/${channel}`) ?? "";
}

export function setName(layer: string, channel: number, name: string): void {
  const names = all();
  const plain = name.replace(/[~]/g, " ").trim().slice(0, 60);
  if (plain) names.set(`${layer}/${channel}`, plain);
  else names.delete(`${layer}/${channel}`);
  const text = [...names].map(([key, value]) => `${key}=${value}`).join("~");
  go({ names: text || undefined }, "same");
}

/** "dark band (121)" or "channel 121". */
export function channelName(layer: string, channel: number): string {
  const name = nameOf(layer, channel);
  return name ? `${name} (${channel})` : `channel ${channel}`;
}
