// Others decided for this reason: the decisions of the run whose evidence is most alike, once they are asked for.
import { useEffect, useState } from "preact/hooks";
import { Waiting } from "../../controls/Waiting";
import { useAnswer } from "../../state/answers";
import { keyOf, sentenceOf } from "../../state/transport";
import type { Alike } from "../../wire/types";
import { count } from "../../words/numbers";
import { Card } from "./Gallery";

interface Props {
  ask: "alike" | "alike_row" | "alike_channel";
  query: object;
  title?: string;
  onOpen: (row: number) => void | Promise<void>;
}

export function Others({ ask, query, title = "Others decided for this reason", onOpen }: Props) {
  const key = keyOf(ask, query);
  const [wanted, setWanted] = useState("");
  useEffect(() => setWanted((before) => (before === key ? before : "")), [key]);
  const asked = useAnswer<Alike>(ask, wanted === key ? query : null);
  const answer = asked.answer;
  const [problem, setProblem] = useState("");
  const open = async (row: number) => {
    setProblem("");
    try {
      await onOpen(row);
    } catch (error) {
      setProblem(sentenceOf(error));
    }
  };
  return (
    <section class="others">
      {wanted !== key ? (
        <button type="button" onClick={() => setWanted(key)}>
          {title}
        </button>
      ) : (
        <>
          <Waiting asked={asked} what="Comparing decisions" />
          {problem && (
            <p class="problem" role="alert">
              {problem}
            </p>
          )}
          {answer && (
            <>
              <h2>
                {title}{" "}
                <span class="quiet">
                  {answer.by === "maps" ? "by where the maps lie" : `by what the channels of ${answer.layer} contribute`}, out of {count(answer.of, "decision")}
                </span>
              </h2>
              <ul class="cards" aria-label={title}>
                {answer.rows.map((row, i) => (
                  <li key={row.row}>
                    <Card row={row} method={answer.method} more={`alike ${answer.likeness[i]!.toFixed(2)}`} onOpen={(one) => void open(one)} />
                  </li>
                ))}
              </ul>
            </>
          )}
        </>
      )}
    </section>
  );
}
