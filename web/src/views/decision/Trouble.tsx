// Why there is no map, in a sentence, and the ways out.
import { address, go } from "../../state/address";
import { DEFAULT_METHOD, library, lost, methodName } from "../../state/store";

export function Trouble({ problem }: { problem: string }) {
  const title = library.value?.methods.find((one) => one.name === DEFAULT_METHOD)?.title;
  const sentence = problem.charAt(0).toUpperCase() + problem.slice(1);
  return (
    <div class="problem" role="alert">
      <p>{/[.?!]$/.test(sentence) ? sentence : `${sentence}.`}</p>
      {!lost.value && (
        <div class="quick">
          {address.value.target !== undefined && (
            <button type="button" onClick={() => go({ target: undefined })}>
              Explain what the network says
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
