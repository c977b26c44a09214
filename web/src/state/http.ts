// Answers from the server: at once, or as a job whose events are listened to.
import { Job, LOST } from "./events";
import { Problem, type Progress, type Transport } from "./transport";

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

export const http: Transport = {
  live: true,
  has: () => true,
  async ask<Answer>(name: string, query: object, signal: AbortSignal, progress?: (progress: Progress) => void) {
    const job = new Job<Answer>(signal, progress);
    const release = () => job.release();
    signal.addEventListener("abort", release);
    try {
      const response = await send(`api/${name}`, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-Job": job.name },
        body: JSON.stringify(query),
        signal,
      });
      if (!response.ok) throw await problemOf(response);
      if (response.status !== 202) return (await response.json()) as Answer;
      const answer = await job.answer();
      job.release();
      return answer;
    } finally {
      signal.removeEventListener("abort", release);
      job.leave();
    }
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
