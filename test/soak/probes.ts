/**
 * Measures probes while 64 clients stream. Clients and probe are processes of their own. The probe also asks
 * a server that does nothing (this process), which measures the wait for a core on this machine.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Subject } from './subject.ts';

const SECONDS = 12;

export interface ProbeResult {
  readonly clients: number;
  /** Milliseconds of each request by its target: `health`, `metrics`, `nothing`. */
  readonly took: Readonly<Record<string, readonly number[]>>;
}

const besideThis = (name: string): string => fileURLToPath(new URL(`./${name}.mjs`, import.meta.url));

/** Times of probes while this many clients stream. Runs only from the bundle: it starts the other entries. */
export async function probe(clients: number): Promise<ProbeResult> {
  const idle = http.createServer((_, response) => response.end('{}')).listen(0, '127.0.0.1');
  await once(idle, 'listening');
  const subject = await Subject.start(['--slots', '16', '--queue', '128']);
  const load = spawn(process.execPath, [besideThis('streams'), subject.url, String(clients)], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  try {
    await sleep(2000);
    const { port } = idle.address() as AddressInfo;
    const targets = [
      `health=${subject.url}/health`,
      `metrics=${subject.url}/metrics`,
      `nothing=http://127.0.0.1:${port}/`,
    ];
    const asking = spawn(process.execPath, [besideThis('probe'), String(SECONDS), ...targets], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    for await (const chunk of asking.stdout.setEncoding('utf8')) text += chunk;
    return { clients, took: JSON.parse(text) as ProbeResult['took'] };
  } finally {
    load.kill('SIGKILL');
    idle.close();
    await subject.kill();
  }
}
