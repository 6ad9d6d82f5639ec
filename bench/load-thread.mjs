/**
 * Clients that stream without a pause, on a thread of their own, so that their parsing does not slow down the
 * measurement.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { ask } from './measure.mjs';

let busy = true;
let tokens = 0;
parentPort.once('message', () => {
  busy = false;
});
const clients = Array.from({ length: workerData.clients }, async () => {
  while (busy) {
    const outcome = await ask(workerData.url, { prompt: 'Write a haiku about bees', temperature: 1 });
    tokens += outcome.tokens.length;
  }
});
await Promise.all(clients);
parentPort.postMessage(tokens);
