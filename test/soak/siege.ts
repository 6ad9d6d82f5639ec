/**
 * Attacks of one kind beside a load of judged clients and a probe. Attackers and probe are processes of their
 * own. The probe must get its answers in time, and the clients their texts.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { quantile } from '../../bench/measure.mjs';
import { Client } from './client.ts';
import { type Circumstances, judge } from './judge.ts';
import type { Ledger } from './ledger.ts';
import { learnTexts } from './life.ts';
import { FIRST_BULKY, type Plan } from './plans.ts';
import { Subject } from './subject.ts';

/** Duration of one attack. */
const SECONDS = 10;
const CLIENTS = 4;
const TOKEN = 'soak-token-0123456789';
/** Limit for the 99th percentile of `/health` in the middle of an attack, in milliseconds. */
export const PROBE_MS = 50;
/** Limit for the slowest probe on a new connection, which 1 100 attackers compete for. */
const NEW_PROBE_MS = 1000;

interface Attack {
  readonly description: string;
  /** True for a worker with a token that only its load and the probe know. */
  readonly guarded?: true;
  /** Changes the fields of tokenizer.json in a copy of the embedded model. */
  readonly tokenizer?: object;
}

const BYTE_LEVEL = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false };
const NESTED = {
  type: 'Split',
  pattern: { Regex: '(?:a+)+b|[\\s\\S]' },
  behavior: 'Isolated',
  invert: false,
};

export const ATTACKS = {
  pipelines: { description: '900 pipelined `GET /openapi.json` on each of two connections, never read' },
  strangers: { description: '1 100 connections without a token that repeat `GET /live`', guarded: true },
  tokenizer: {
    description: 'a pattern with nested quantifiers, NFC, and prompts of 34 letters and of 32 000 combining marks',
    tokenizer: {
      normalizer: { type: 'NFC' },
      pre_tokenizer: { type: 'Sequence', pretokenizers: [NESTED, BYTE_LEVEL] },
    },
  },
  guesses: { description: '16 callers that guess the token', guarded: true },
  bodies: { description: '8 callers that send 50 000 keys to `/execute` and to three routes of the dialects' },
  joins: { description: '8 callers that subscribe to one job and leave at the first byte' },
} as const satisfies Readonly<Record<string, Attack>>;
export type AttackName = keyof typeof ATTACKS;

export interface SiegeResult {
  readonly attack: AttackName;
  /** Attempts of the attackers, and requests of the load. */
  readonly attempts: number;
  readonly requests: number;
  /** Milliseconds of each probe by its target: `health`, `new` (`/live` on a new connection), `empty`. */
  readonly took: Readonly<Record<string, readonly number[]>>;
}

/** Runs one attack. Judges the load, the probe, and the worker afterwards. */
export async function besiege(attack: AttackName, seed: number, ledger: Ledger): Promise<SiegeResult> {
  const { guarded, tokenizer }: Attack = ATTACKS[attack];
  const folder = tokenizer && changedModel(tokenizer);
  const model = folder === undefined ? [] : ['--model', folder];
  const token = guarded ? TOKEN : undefined;
  const again = `attack ${attack}, seed ${seed}`;
  const texts = await learnTexts(model);
  const subject = await Subject.start(model, token);
  const attackers = start('attackers', [attack, subject.url]);
  try {
    const probing = probe(subject, token);
    const requests = await serve(subject, { killed: false, stopping: false, texts, again }, probing, ledger);
    const took = await probing;
    attackers.stdin?.end();
    const attempts = Number(await textOf(attackers));
    ledger.injected(`attack: ${ATTACKS[attack].description}`, attempts);
    const p99 = quantile([...(took['health'] ?? [])], 0.99);
    ledger.expect('responsive', p99 <= PROBE_MS, () => `p99 of /health is ${p99} ms; ${again}`);
    const slowest = Math.max(...(took['new'] ?? []));
    ledger.expect('reachable', slowest <= NEW_PROBE_MS, () => `a new connection took ${slowest} ms; ${again}`);
    await expectCalm(subject, again, ledger);
    return { attack, attempts, requests, took };
  } finally {
    attackers.kill('SIGKILL');
    await subject.kill();
    if (folder !== undefined) rmSync(folder, { recursive: true });
  }
}

/** A copy of the embedded model with other fields in its tokenizer.json. */
function changedModel(fields: object): string {
  const folder = mkdtempSync(join(tmpdir(), 'siege-'));
  cpSync(fileURLToPath(new URL('../../models/haiku', import.meta.url)), folder, { recursive: true });
  const file = join(folder, 'tokenizer.json');
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), ...fields }));
  return folder;
}

/** Clients that stream until the probe ends. Resolves with the number of their requests. */
async function serve(
  subject: Subject,
  circumstances: Circumstances,
  until: Promise<unknown>,
  ledger: Ledger,
): Promise<number> {
  const client = new Client(subject.url, subject.token);
  let [requests, over] = [0, false];
  const ended = until.then(() => {
    over = true;
  });
  const stream = async (): Promise<void> => {
    while (!over) {
      const index = requests++;
      const plan: Plan = { job: index % FIRST_BULKY, onDisconnect: 'cancel', narrow: false, visits: [{ awayMs: 0 }] };
      judge(await client.perform(plan, `siege-${index}`), circumstances, ledger);
    }
  };
  await Promise.all([ended, ...Array.from({ length: CLIENTS }, stream)]);
  client.close();
  return requests;
}

/** Milliseconds of probes that last `SECONDS`. */
async function probe(subject: Subject, token: string | undefined): Promise<SiegeResult['took']> {
  const empty = http.createServer((_, response) => response.end('{}')).listen(0, '127.0.0.1');
  await once(empty, 'listening');
  const { port } = empty.address() as AddressInfo;
  const targets = [`health=${subject.url}/health`, `new=${subject.url}/live`, `empty=http://127.0.0.1:${port}/`];
  try {
    const probing = start('probe', [String(SECONDS), ...targets], token);
    return JSON.parse(await textOf(probing)) as SiegeResult['took'];
  } finally {
    empty.close();
  }
}

/** Checks that the worker has lived through the attack, is idle, and stops as always. */
async function expectCalm(subject: Subject, again: string, ledger: Ledger): Promise<void> {
  const isIdle = async (): Promise<boolean> => {
    const { status, slots, queue } = await subject.health();
    return status === 'healthy' && (slots as { busy: number }).busy + (queue as { length: number }).length === 0;
  };
  const idle = await subject.until(isIdle, 'idle after the attack').then(
    () => true,
    () => false,
  );
  ledger.expect('idle', idle, () => again);
  ledger.expect('lives', subject.count('worker.startup') === 1 && subject.count('engine.lost') === 0, () => again);
  const code = await subject.stop();
  ledger.expect('stops', code === 0, () => `exit code ${code}; ${again}`);
  const { blamed, stderr } = subject;
  ledger.expect('blameless', blamed.length === 0 && stderr === '', () => `${blamed.slice(0, 3)}${stderr}; ${again}`);
}

/** Starts another entry of the bundle. It may read the token from its environment. */
function start(entry: string, args: readonly string[], token?: string): ChildProcess {
  return spawn(process.execPath, [fileURLToPath(new URL(`./${entry}.mjs`, import.meta.url)), ...args], {
    env: { PATH: process.env['PATH'] ?? '', ...(token !== undefined && { SOAK_TOKEN: token }) },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
}

async function textOf({ stdout }: ChildProcess): Promise<string> {
  let text = '';
  for await (const chunk of stdout?.setEncoding('utf8') ?? []) text += chunk;
  return text;
}
