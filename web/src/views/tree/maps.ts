// What a node brings to its parent, as a map: orange for what is for it in the units shown, blue for what is against.
import { chooseScale, type Scale } from "../../draw/scale";
import { fieldOf, opposite, type Field } from "../../wire/map";
import type { Shown } from "./levels";

export function fieldFor(one: Shown): Field {
  const field = fieldOf(one.node.map);
  return field.total < 0 === one.against ? field : opposite(field);
}

/** Shows the node's own sign. */
export function scaleFor(one: Shown): Scale {
  return chooseScale([fieldFor(one)], { sign: one.against ? "negative" : "positive" });
}
