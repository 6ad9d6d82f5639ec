/**
 * A process that asks and waits, one question at a time, as a monitor does: `node probe.mjs <seconds>
 * <name>=<url>…` takes the addresses in turn and prints the milliseconds of each as JSON. It does nothing
 * else, so that what it measures is not its own work.
 */
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** Between two questions. */
const PAUSE_MS = 4;

const [seconds = '1', ...targets] = process.argv.slice(2);
const agent = new http.Agent({ keepAlive: true });
const took: Record<string, number[]> = {};

function ask(url: string): Promise<number> {
  const began = performance.now();
  return new Promise((resolve, reject) => {
    const request = http.get(url, { agent }, (response) => {
      response.resume().once('end', () => resolve(performance.now() - began));
    });
    request.once('error', reject);
  });
}

const end = performance.now() + Number(seconds) * 1000;
while (performance.now() < end) {
  for (const target of targets) {
    const [name = '', url = ''] = target.split(/=(.*)/);
    took[name] ??= [];
    took[name].push(await ask(url));
    await sleep(PAUSE_MS);
  }
}
process.stdout.write(JSON.stringify(took), () => process.exit(0));
