/** Requests the path of a worker that it is told, at a fixed interval: on its own thread, beside the clients of a bench. */
import http from 'node:http';
import { parentPort, workerData } from 'node:worker_threads';

const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
/** The URL to request; undefined: none. */
let target;
let isBusy = false;
parentPort.on('message', (url) => {
  target = url;
  parentPort.postMessage('heard');
});

setInterval(() => {
  if (target === undefined || isBusy) return;
  isBusy = true;
  http.get(target, { agent }, (response) => response.resume().once('end', () => (isBusy = false)));
}, workerData.intervalMs);
