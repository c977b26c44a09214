// Channels: a front page by what they bring here, and a page with an address for each.
import { address } from "../../state/address";
import { Front } from "./Front";
import { Page } from "./Page";

export function Channel() {
  const [layer, number] = address.value.path;
  const channel = Number(number);
  return layer && number && Number.isInteger(channel) ? <Page layer={layer} channel={channel} /> : <Front />;
}
