/** Streams of a worker that a test did not start itself: in a container, or behind a unit. */

import { Listener, lastOf, longJob } from '../../support/listener.ts';

export const TOKEN = 'token-of-the-test';
/** The headers of a request with a body. */
export const HEADERS = { 'Content-Type': 'application/json', Authorization: `Bearer ${TOKEN}` };

/** Opens streams of 480 tokens each, and waits until all of them have a token. */
export async function openStreams(url: string, count: number): Promise<readonly Listener[]> {
  const jobs = Array.from({ length: count }, (_, index) => longJob(`job-${index}`));
  const streams = await Promise.all(jobs.map((job) => Listener.post(`${url}/execute`, job, HEADERS)));
  await Promise.all(streams.map((stream) => stream.untilToken()));
  return streams;
}

/** The last events of streams, when all of them are over. */
export async function endsOf(streams: readonly Listener[]): Promise<ReturnType<typeof lastOf>[]> {
  return (await Promise.all(streams.map((stream) => stream.ended))).map(lastOf);
}

/** True if the worker is ready. */
export const isReady = (url: string): Promise<boolean> =>
  fetch(`${url}/ready`).then(
    ({ status }) => status === 200,
    () => false,
  );
