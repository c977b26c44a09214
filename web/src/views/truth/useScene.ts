// The scene as it is now: the changes of the address, and what is being dragged on top of them.
import { useEffect, useState } from "preact/hooks";
import { useAnswer } from "../../state/answers";
import { useLive } from "../../state/live";
import type { ChangedScene, SceneChange } from "../../wire/types";
import { changesNow, setChanges, withChange } from "./changes";

type Move = Extract<SceneChange, { kind: "move" }>;

export function useScene(on: { photo: string; model: string; target: string }) {
  const changes = changesNow();
  const [drag, setDrag] = useState<Move | null>(null);
  const [held, setHeld] = useState(false);
  const settled = useAnswer<ChangedScene>("scene", { ...on, changes, large: true });
  const live = useLive<ChangedScene>("scene", drag && { ...on, changes: withChange(changes, drag) });
  // What was dragged last stays until the large picture of it is there.
  useEffect(() => {
    if (!settled.waiting && !drag) setHeld(false);
  }, [settled.waiting, drag]);
  const move = (part: string, dx: number, dy: number, done: boolean) => {
    const change: Move = { kind: "move", part: part as Move["part"], dx, dy };
    setHeld(true);
    setDrag(done ? null : change);
    if (done) setChanges(withChange(changes, change));
  };
  return {
    changes,
    /** The changes that `now` shows, or will show. */
    shown: drag ? withChange(changes, drag) : changes,
    /** `now` is not yet the scene after the changes. */
    pending: settled.waiting && !drag,
    settled,
    move,
    dragging: drag !== null,
    now: (held && live.answer) || settled.answer,
    problem: settled.problem ?? live.problem,
  };
}
