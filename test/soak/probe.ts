/**
 * A process that sends one request at a time, as a monitor does: `node probe.mjs <seconds> <name>=<url>…`
 * requests the URLs in turn and prints the milliseconds of each as JSON. It has no other work that could
 * delay its measurement. A target named `new` gets a new connection for each request. The variable SOAK_TOKEN
 * has the token of the worker.
 */
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** Time that a failed request counts as. */
const FAILED_MS = 60_000;
/** Between two requests. */
const PAUSE_MS = 4;

const [seconds = '1', ...targets] = process.argv.slice(2);
const agent = new http.Agent({ keepAlive: true });
const took: Record<string, number[]> = {};

const token = process.env['SOAK_TOKEN'];
const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` };

function request(name: string, url: string): Promise<number> {
  const began = performance.now();
  return new Promise((resolve) => {
    const sent = http.get(url, { agent: name === 'new' ? false : agent, headers }, (response) => {
      response.resume().once('end', () => resolve(performance.now() - began));
    });
    sent.once('error', () => resolve(FAILED_MS));
  });
}

const end = performance.now() + Number(seconds) * 1000;
while (performance.now() < end) {
  for (const target of targets) {
    const [name = '', url = ''] = target.split(/=(.*)/);
    took[name] ??= [];
    took[name].push(await request(name, url));
    await sleep(PAUSE_MS);
  }
}
process.stdout.write(JSON.stringify(took), () => process.exit(0));
