// Answers from the server: at once, or as a job whose events are listened to.
import { Problem, type Progress, type Transport } from "./transport";

const LOST = "foveal has stopped. Start it again; this page will find it.";

interface JobEvent extends Progress {
  kind: "progress" | "answer" | "error" | "canceled";
  sentence: string;
  answer?: unknown;
}

async function send(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(path, { ...init, credentials: "same-origin" });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Problem(LOST, true);
  }
}

async function problemOf(response: Response): Promise<Problem> {
  const said = (await response.json().catch(() => null)) as { sentence?: string } | null;
  return new Problem(said?.sentence || `The server answered ${response.status} ${response.statusText}.`);
}

function follow<Answer>(job: string, signal: AbortSignal, progress?: (progress: Progress) => void): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const events = new EventSource(`api/jobs/${job}`);
    const end = (finish: () => void) => {
      events.close();
      signal.removeEventListener("abort", stop);
      finish();
    };
    const stop = () => {
      void fetch(`api/jobs/${job}`, { method: "DELETE", credentials: "same-origin" }).catch(() => undefined);
      end(() => reject(new DOMException("canceled", "AbortError")));
    };
    signal.addEventListener("abort", stop);
    if (signal.aborted) stop();
    events.onerror = () => end(() => reject(new Problem(LOST, true)));
    events.onmessage = (message) => {
      const event = JSON.parse(message.data as string) as JobEvent;
      if (event.kind === "progress") progress?.(event);
      else if (event.kind === "answer") end(() => resolve(event.answer as Answer));
      else if (event.kind === "error") end(() => reject(new Problem(event.sentence)));
      else end(() => reject(new DOMException("canceled", "AbortError")));
    };
  });
}

export const http: Transport = {
  live: true,
  has: () => true,
  async ask<Answer>(name: string, query: object, signal: AbortSignal, progress?: (progress: Progress) => void) {
    const response = await send(`api/${name}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(query),
      signal,
    });
    if (!response.ok) throw await problemOf(response);
    const answer = (await response.json()) as Answer | { job: string };
    return response.status === 202 ? follow<Answer>((answer as { job: string }).job, signal, progress) : (answer as Answer);
  },
  async upload(file: Blob, name: string) {
    const response = await send("api/photos", {
      method: "POST",
      headers: { "Content-Type": "application/octet-stream", "X-Name": encodeURIComponent(name) },
      body: file,
    });
    if (!response.ok) throw await problemOf(response);
    return response.json();
  },
  openings(hear) {
    const events = new EventSource("api/openings");
    events.onmessage = (message) => hear((JSON.parse(message.data as string) as { address: string }).address);
    return () => events.close();
  },
};
