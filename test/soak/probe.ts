/**
 * A process that sends one request at a time, as a monitor does: `node probe.mjs <seconds> <name>=<url>…`
 * requests the URLs in turn and prints the milliseconds of each as JSON. It has no other work that could
 * delay its measurement.
 */
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** Between two requests. */
const PAUSE_MS = 4;

const [seconds = '1', ...targets] = process.argv.slice(2);
const agent = new http.Agent({ keepAlive: true });
const took: Record<string, number[]> = {};

function request(url: string): Promise<number> {
  const began = performance.now();
  return new Promise((resolve, reject) => {
    const sent = http.get(url, { agent }, (response) => {
      response.resume().once('end', () => resolve(performance.now() - began));
    });
    sent.once('error', reject);
  });
}

const end = performance.now() + Number(seconds) * 1000;
while (performance.now() < end) {
  for (const target of targets) {
    const [name = '', url = ''] = target.split(/=(.*)/);
    took[name] ??= [];
    took[name].push(await request(url));
    await sleep(PAUSE_MS);
  }
}
process.stdout.write(JSON.stringify(took), () => process.exit(0));
