/**
 * The HTTP server of a worker in this process, with real routes, admission and jobs, and an engine that ends
 * every sequence at once. Default limits.
 */
import { connect, type Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { readConfig } from '../../src/config/config.ts';
import { CONTRACT_FILES } from '../../src/config/paths.ts';
import { WorkerError } from '../../src/contract/errors.ts';
import { bodyLimit, buildServer } from '../../src/http/server.ts';
import { Admission } from '../../src/jobs/admission.ts';
import { JobRegistry } from '../../src/jobs/registry.ts';
import { newIdentity } from '../../src/lifecycle/identity.ts';
import type { LoadedModel } from '../../src/lifecycle/load-model.ts';
import { WorkerState } from '../../src/lifecycle/state.ts';
import { CATALOGUE } from '../../src/narration/catalogue/catalogue.ts';
import { fakeModel, finish, idleMetrics } from '../support/fakes.ts';

/** Bytes of the longest body with the default `--max-prompt-chars`. */
export const BODY_BYTES = bodyLimit('auto');
/** 32 origins, the maximum of `--cors-origin`. */
export const ORIGINS = Array.from({ length: 32 }, (_, index) => `https://app-${index}.example`);

export interface LoopServer {
  readonly app: FastifyInstance;
  readonly jobs: JobRegistry;
  /** Sends bytes over a new connection. Resolves with the answer when the server has closed it. */
  readonly send: (bytes: string | Uint8Array) => Promise<string>;
  readonly open: () => Promise<Socket>;
}

interface LoopOptions {
  /** The loaded model. */
  readonly model?: LoadedModel;
  /** Settings besides `--cors-origin`. */
  readonly args?: readonly string[];
}

export async function startLoopServer({
  model = fakeModel({ slots: 4, context: 64 }),
  args = [],
}: LoopOptions = {}): Promise<LoopServer> {
  const config = { ...readConfig(['--cors-origin', ORIGINS.join(), ...args], {}), workerId: 'loop' };
  const state = new WorkerState();
  state.enter('ready');
  const jobs = new JobRegistry({ ttlMs: 60_000, bytes: config.replayMemory * 2 ** 20 });
  const engine = {
    pid: undefined,
    occupancy: { busy: 0, waiting: 0, tokens: 0, waitingTokens: 0, left: 0 },
    slotFreeMs: undefined,
    waitMs: () => undefined,
    heartbeatAgeMs: 1,
    async *submit() {
      yield { batch: 1, report: { id: 1, notes: [], tokens: [], finish: finish('max_tokens') } };
    },
  };
  const metrics = idleMetrics();
  for (const event of Object.keys(CATALOGUE)) metrics.narrated(event);
  for (const outcome of ['success', 'error', 'cancelled', 'timeout'] as const)
    metrics.finished({ outcome, tokensIn: 1, tokensOut: 2, durationMs: 3, timeToFirstTokenMs: 1, decodeMs: 1 });
  const parts = { config, state, jobs, engine, metrics, memory: { bytes: 1, parts: undefined }, model: () => model };
  const admission = new Admission(parts);
  const unset = (): never => {
    throw new WorkerError('NO_CALLBACK');
  };
  const app = buildServer(
    { ...parts, identity: newIdentity('w-1', '0'), admission, shutdown: () => undefined, announce: unset },
    CONTRACT_FILES,
  );
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as { port: number };
  const open = (): Promise<Socket> =>
    new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => resolve(socket)).on('error', reject);
    });
  const send = async (bytes: string | Uint8Array): Promise<string> => {
    const socket = await open();
    const parts: string[] = [];
    socket.setEncoding('utf8').on('data', (text: string) => parts.push(text));
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.write(bytes);
    await closed;
    return parts.join('');
  };
  return { app, jobs, send, open };
}

/** `POST` with a JSON body, on a connection that closes afterwards. */
export function postOf(path: string, body: string, headers: readonly string[] = []): string {
  const lines = [
    `POST ${path} HTTP/1.1`,
    'Host: 127.0.0.1',
    'Connection: close',
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...headers,
  ];
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}

/** `GET` on a connection that closes afterwards. */
export const getOf = (path: string, headers: readonly string[] = []): string =>
  `${[`GET ${path} HTTP/1.1`, 'Host: 127.0.0.1', 'Connection: close', ...headers].join('\r\n')}\r\n\r\n`;

/** Status, and the text behind the headers. */
export function answerIn(heard: string): { readonly status: number; readonly body: string } {
  const end = heard.indexOf('\r\n\r\n');
  return { status: Number(heard.slice(9, 12)), body: heard.slice(end + 4) };
}

/** `head` + as many `unit`s as fit into a body of the maximum size, separated by `between` + `tail`. */
export function filled(head: string, unit: string, tail: string, between = ''): string {
  const room = BODY_BYTES - Buffer.byteLength(head) - Buffer.byteLength(tail) + between.length;
  const count = Math.floor(room / (Buffer.byteLength(unit) + between.length));
  return head + Array<string>(count).fill(unit).join(between) + tail;
}
