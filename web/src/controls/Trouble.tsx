// Why there is no map, in a sentence, and the ways out.
import { address, go } from "../state/address";
import { DEFAULT_METHOD, library, lost, methodName } from "../state/store";
import type { Scores } from "../wire/types";

interface Props {
  problem: string;
  /** What the network says, where that is known. */
  scores?: Scores | null;
}

export function Trouble({ problem, scores }: Props) {
  const title = library.value?.methods.find((one) => one.name === DEFAULT_METHOD)?.title;
  const numbers = scores?.kind === "output" ? scores.classes.length : 0;
  const sentence = problem.charAt(0).toUpperCase() + problem.slice(1);
  const asked = address.value.target !== undefined;
  return (
    <div class="problem" role="alert">
      {numbers && !asked ? (
        <p>
          This network gives an embedding of {numbers} numbers and predicts no class. Choose in the headline what is explained, or compare two photos.
        </p>
      ) : (
        <p>{/[.?!]$/.test(sentence) ? sentence : `${sentence}.`}</p>
      )}
      {!lost.value && (
        <div class="quick">
          {asked && (
            <button type="button" onClick={() => go({ target: undefined })}>
              {numbers ? "Explain something else" : "Explain what the network says"}
            </button>
          )}
          {methodName.value !== DEFAULT_METHOD && (
            <button type="button" onClick={() => go({ method: undefined })}>
              Use {title}
            </button>
          )}
        </div>
      )}
    </div>
  );
}
