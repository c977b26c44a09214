// What was measured, as tables; what the page is about; how to read it, and how it was made.
import { useEffect } from "preact/hooks";
import { code } from "../../app/Footer";
import { useAnswer } from "../../state/answers";
import type { Measured as MeasuredAnswer } from "../../wire/types";
import { Table } from "./Table";

export function Measured() {
  const { answer } = useAnswer<MeasuredAnswer>("measured", {});
  useEffect(() => {
    code.value = null;
  }, []);
  if (!answer) return null;
  return (
    <div class="measured">
      <h1>{answer.title}</h1>
      <p class="answer">{answer.intro}</p>
      {answer.highlights.length > 0 && (
        <dl class="highlights">
          {answer.highlights.map(({ what, says }) => (
            <div>
              <dt>{what}</dt>
              <dd>{says}</dd>
            </div>
          ))}
        </dl>
      )}
      {answer.tables.map((table) => (
        <Table table={table} />
      ))}
      <div class="beside">
        <Sentences heading="How to read it" sentences={answer.caveats} />
        <Pairs heading="Words" pairs={answer.terms} />
        <Pairs heading="How it was made" pairs={answer.provenance} />
      </div>
    </div>
  );
}

function Sentences({ heading, sentences }: { heading: string; sentences: readonly string[] }) {
  if (!sentences.length) return null;
  return (
    <section class="notes">
      <h2>{heading}</h2>
      <ul>
        {sentences.map((one) => (
          <li>{one}</li>
        ))}
      </ul>
    </section>
  );
}

function Pairs({ heading, pairs }: { heading: string; pairs: MeasuredAnswer["terms"] }) {
  if (!pairs.length) return null;
  return (
    <section class="notes">
      <h2>{heading}</h2>
      <dl>
        {pairs.map(({ what, says }) => (
          <div>
            <dt>{what}</dt>
            <dd>{says}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
