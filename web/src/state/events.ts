// One stream of events for the whole page, open while it waits for jobs: browsers allow a server few connections.
import { Problem, type Progress } from "./transport";

export const LOST = "foveal has stopped. Start it again, and open the address that it prints.";

interface JobEvent extends Progress {
  job: string;
  kind: "progress" | "answer" | "error" | "canceled";
  sentence: string;
  answer?: unknown;
}

/** The name under which the server knows this page. */
const PAGE = Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
const waiting = new Map<string, (event: JobEvent | "lost") => void>();
let number = 0;
let stream: EventSource | null = null;

/** A job that this page names before it asks for it, so that it can be canceled at any time. */
export class Job<Answer> {
  readonly name = `${PAGE}.${number++}`;
  private readonly whole: Promise<Answer>;

  constructor(signal: AbortSignal, progress?: (progress: Progress) => void) {
    this.whole = new Promise((resolve, reject) => {
      const canceled = () => reject(new DOMException("canceled", "AbortError"));
      signal.addEventListener("abort", canceled);
      waiting.set(this.name, (event) => {
        if (event === "lost") reject(new Problem(LOST, true));
        else if (event.kind === "progress") progress?.(event);
        else if (event.kind === "answer") resolve(event.answer as Answer);
        else if (event.kind === "error") reject(new Problem(event.sentence));
        else canceled();
      });
    });
    this.whole.catch(() => undefined); // heard by whoever asks for `answer`
  }

  /** The answer, once the server said that it takes longer. Rejects with a `Problem`, or an AbortError. */
  answer(): Promise<Answer> {
    if (!stream) {
      stream = new EventSource(`api/events/${PAGE}`);
      stream.onmessage = (message) => {
        const event = JSON.parse(message.data as string) as JobEvent;
        waiting.get(event.job)?.(event);
      };
      stream.onerror = () => [...waiting.values()].forEach((hear) => hear("lost"));
    }
    return this.whole;
  }

  /** Tell the server that nobody waits for it: there is an answer, or none is wanted any more. */
  release(): void {
    void fetch(`api/jobs/${this.name}`, { method: "DELETE", credentials: "same-origin", keepalive: true }).catch(() => undefined);
  }

  /** Nobody waits for it any more. */
  leave(): void {
    waiting.delete(this.name);
    if (waiting.size) return;
    stream?.close();
    stream = null;
  }
}
