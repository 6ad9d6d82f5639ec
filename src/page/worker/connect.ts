/** The client of the worker that served the page, and the ids of its jobs. */
import { WorkerClient } from '../../client/client.ts';

/** @param apiToken the token that the person typed */
export const clientWith = (apiToken: string | undefined): WorkerClient =>
  new WorkerClient({ url: new URL('.', document.baseURI).href, apiToken });

/** `crypto.randomUUID` is missing in pages of other machines without HTTPS. */
export function newJobId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(5));
  return `page-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}
