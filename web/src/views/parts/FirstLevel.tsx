// The first level of the tree beside the ranks: parts that were found by what they bring, not by how active they are.
import { BoxCrop } from "../../controls/BoxCrop";
import { linkTo } from "../../state/address";
import { hover, isHovered, photo } from "../../state/store";
import type { Tree } from "../../wire/types";
import { fine, referenceWords } from "../../words/tree";
import { levelOf } from "../tree/levels";
import { fieldFor, scaleFor } from "../tree/maps";

export function FirstLevel({ tree }: { tree: Tree }) {
  const level = levelOf(tree, tree.branch, null, null, 0);
  const most = Math.max(...level.shown.map((one) => Math.abs(one.brings)), 1e-9);
  return (
    <section class="firstlevel">
      <h2>
        By what they bring <span class="quiet">{tree.reference ? `parts of the tree, rather than ${referenceWords(tree.reference)}` : "parts of the tree"}</span>
      </h2>
      <ul>
        {level.shown.map((one) => (
          <li class={isHovered("node", one.node.id) ? "same" : ""} {...hover("node", one.node.id)}>
            <a href={linkTo({ view: "tree", reference: tree.reference ? undefined : "none", open: one.way.join("-"), node: undefined })} aria-label={`${one.name}, ${fine(one.brings, true)}: take it apart`}>
              <BoxCrop url={photo.value!.url} box={one.node.box} side={88} field={fieldFor(one)} scale={scaleFor(one)} />
              <span>{one.name}</span>
              <span class={`claim ${one.against ? "against" : "for"}`}>{fine(one.brings, true)}</span>
              <i class={one.against ? "against" : "for"} style={{ width: `${(100 * Math.abs(one.brings)) / most}%` }} />
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}
