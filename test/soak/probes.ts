/**
 * Measures probes while clients stream. Clients and probe are processes of their own. The probe also requests
 * an empty server (this process), which measures the wait for a core on this machine.
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
  /** Milliseconds of each request by its target: `health`, `metrics`, `empty`. */
  readonly took: Readonly<Record<string, readonly number[]>>;
}

const besideThis = (name: string): string => fileURLToPath(new URL(`./${name}.mjs`, import.meta.url));

/** Times of probes while this many clients stream. Runs only from the bundle: it starts its other entries. */
export async function probe(clients: number): Promise<ProbeResult> {
  const empty = http.createServer((_, response) => response.end('{}')).listen(0, '127.0.0.1');
  await once(empty, 'listening');
  const subject = await Subject.start(['--slots', '16', '--queue', '128']);
  const load = spawn(process.execPath, [besideThis('streams'), subject.url, String(clients)], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  try {
    await sleep(2000);
    const { port } = empty.address() as AddressInfo;
    const targets = [
      `health=${subject.url}/health`,
      `metrics=${subject.url}/metrics`,
      `empty=http://127.0.0.1:${port}/`,
    ];
    const probing = spawn(process.execPath, [besideThis('probe'), String(SECONDS), ...targets], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    for await (const chunk of probing.stdout.setEncoding('utf8')) text += chunk;
    return { clients, took: JSON.parse(text) as ProbeResult['took'] };
  } finally {
    load.kill('SIGKILL');
    empty.close();
    await subject.kill();
  }
}
