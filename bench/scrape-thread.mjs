/** Requests a path of a worker at a fixed interval until it is told to stop: on its own thread, beside the clients of a bench. */
import http from 'node:http';
import { parentPort, workerData } from 'node:worker_threads';

const { url, path, intervalMs } = workerData;
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
let stopped = false;
parentPort.once('message', () => {
  stopped = true;
});

const scrape = () =>
  new Promise((resolve, reject) => {
    http.get(url + path, { agent }, (response) => response.resume().once('end', resolve)).once('error', reject);
  });

let next = performance.now();
while (!stopped) {
  await scrape();
  next = Math.max(next + intervalMs, performance.now());
  await new Promise((resolve) => setTimeout(resolve, next - performance.now()));
}
