// The selected node: its map large, what it claims and what the network answers, and what can be done with it.
import type { ComponentChildren, RefObject } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { PhotoMap } from "../../controls/PhotoMap";
import { photo, transport } from "../../state/store";
import { outlineOfBox } from "./box";
import type { Tree } from "../../wire/types";
import { count } from "../../words/numbers";
import { claimWords, measuredWords } from "../../words/tree";
import { ChannelLink, Elsewhere } from "./Elsewhere";
import type { Level, Shown } from "./levels";
import { fieldFor, scaleFor } from "./maps";
import { nameOf, rename } from "./state";
import { Pictures } from "./Pictures";
import { Switch } from "./Switch";

interface Props {
  tree: Tree;
  one: Shown;
  level: Level;
  query: object;
  renaming: RefObject<() => void>;
  children: ComponentChildren;
}

export function Panel({ tree, one, level, query, renaming, children }: Props) {
  const [verb, claim, rest] = claimWords(tree, one, level);
  const measured = measuredWords(tree, one, level.parent);
  const { node } = one;
  const own = nameOf(node.id) ? [`${node.name}${level.parent ? ` of ${level.parent.name}` : ""}`] : level.parent ? [`of ${level.parent.name}`] : [];
  return (
    <aside class="panel" aria-label={`About ${one.name}`}>
      <Name key={node.id} one={one} renaming={renaming} />
      <p class="quiet fineprint">
        {[...own, level.stage.name].join(", ")}
        {node.part ? ` · ${count(node.channels.length, "channel")} hold${node.channels.length === 1 ? "s" : ""} half of it` : ` · activation ${node.value.toPrecision(3)}`}
      </p>
      <PhotoMap photo={photo.value!} alt={`${photo.value!.name} with what ${one.name} brings`} describedBy="node-words" field={fieldFor(one)} scale={scaleFor(one)} side={520}>
        <path class="cell" d={outlineOfBox(node.box)} />
      </PhotoMap>
      <p class="words" id="node-words">
        {verb} <span class={one.against ? "against" : "for"}>{claim}</span>
        {rest} {measured}
      </p>
      {transport.value.live && <Switch one={one} />}
      {children}
      {!transport.value.live && <Pictures of={node.id} name={one.name} query={query} />}
      {transport.value.live && (node.part ? <Elsewhere one={one} query={query} /> : <ChannelLink one={one} level={level} />)}
    </aside>
  );
}

function Name({ one, renaming }: { one: Shown; renaming: RefObject<() => void> }) {
  const [typing, setTyping] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    renaming.current = () => setTyping(true);
  }, []);
  useEffect(() => {
    if (typing) field.current?.select();
  }, [typing]);
  const done = (text: string | null) => {
    setTyping(false);
    if (text !== null && text !== one.name) rename(one.node.id, text);
    document.getElementById(`node-${one.way.join("-")}`)?.focus();
  };
  if (!typing)
    return (
      <div class="named">
        <h2>{one.name}</h2>
        <button type="button" class="link" title="F2" onClick={() => setTyping(true)}>
          rename
        </button>
      </div>
    );
  return (
    <form class="named" onSubmit={(event) => (event.preventDefault(), done(field.current!.value))}>
      <input
        ref={field}
        type="text"
        aria-label="Name of this node"
        maxLength={40}
        value={one.name}
        onKeyDown={(event) => event.key === "Escape" && done(null)}
        onBlur={(event) => typing && done(event.currentTarget.value)}
      />
    </form>
  );
}
