/**
 * An engine process on the software renderer of WebGPU: a process looks up its libraries when it starts, so the
 * engine cannot run in the process of the tests.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { expect } from 'vitest';
import type { EngineFacts, EngineOptions } from '../../../src/protocol/loading.ts';
import type {
  Finish,
  FromEngine,
  Note,
  PromptScore,
  SequenceReport,
  SequenceRequest,
  ToEngine,
  TokenReport,
} from '../../../src/protocol/messages.ts';
import type { Refusal } from '../../../src/protocol/reasons.ts';
import { softwareVulkan } from '../../support/vulkan.ts';
import { engineProcess, options, request } from '../harness.ts';

/** SwiftShader compiles a shader for every operator and shape that is new to it. */
export const TIMEOUT_MS = 600_000;

const children: ChildProcess[] = [];

/** Ends all engine processes of the test. */
export function stopEngines(): void {
  for (const child of children.splice(0)) child.kill('SIGKILL');
}

/** The tokens of a sequence, and its end. */
export interface Outcome {
  readonly tokens: readonly TokenReport[];
  readonly notes: readonly Note[];
  readonly promptScores: readonly PromptScore[];
  readonly finish: Finish;
}

export const idsOf = ({ tokens }: Pick<Outcome, 'tokens'>): number[] => tokens.map(({ id }) => id);

/** Opens a model. `refusal` is present if no device of the candidates could open it. */
export async function openEngine(overrides: Partial<EngineOptions>) {
  const child = fork(engineProcess, {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    serialization: 'advanced',
    env: { ...softwareVulkan },
  });
  children.push(child);
  const reported = new Map<number, SequenceReport[]>();
  const ended = new Map<number, Finish>();
  let facts: EngineFacts | undefined;
  let refusal: Refusal | undefined;
  let lost: string | undefined;
  const said: FromEngine[] = [];
  /** Numbers of sequences of all steps. */
  const batches: number[] = [];
  child.on('message', (message: FromEngine) => {
    if (message.kind !== 'report') said.push(message);
    else batches.push(message.batch);
    if (message.kind === 'opened') facts = message.facts;
    if (message.kind === 'refused') refusal = message;
    for (const report of message.kind === 'report' ? message.sequences : []) {
      reported.set(report.id, [...(reported.get(report.id) ?? []), report]);
      if (report.finish) ended.set(report.id, report.finish);
    }
  });
  const next = new EventEmitter().setMaxListeners(0);
  child.on('message', () => next.emit('change'));
  child.on('exit', (code, signal) => {
    lost = `The engine ended: ${signal ?? code}`;
    next.emit('change');
  });
  const until = async (holds: () => boolean): Promise<void> => {
    while (!holds()) {
      if (lost !== undefined) throw new Error(lost);
      await once(next, 'change');
    }
  };
  const send = (message: ToEngine) => child.send(message);
  send({ kind: 'open', options: { ...options, ...overrides } });
  await until(() => facts !== undefined || refusal !== undefined);
  const tokensOf = (id: number): TokenReport[] => (reported.get(id) ?? []).flatMap(({ tokens }) => tokens);
  /** Resolves when a sequence has as many tokens, or has ended. */
  const untilTokens = (id: number, count: number): Promise<void> =>
    until(() => tokensOf(id).length >= count || ended.has(id));
  const hasEnded = (id: number): boolean => ended.has(id);
  /** The largest number of tokens of a sequence in one step. */
  const most = (id: number): number => Math.max(0, ...(reported.get(id) ?? []).map(({ tokens }) => tokens.length));
  const submit = async (asked: SequenceRequest): Promise<Outcome> => {
    send({ kind: 'submit', request: asked });
    await until(() => ended.has(asked.id));
    const reports = reported.get(asked.id) ?? [];
    return {
      tokens: tokensOf(asked.id),
      notes: reports.flatMap(({ notes }) => notes),
      promptScores: reports.flatMap(({ promptScores }) => promptScores?.scores ?? []),
      finish: ended.get(asked.id)!,
    };
  };
  /** All tokens of a greedy continuation. @param logprobs as in `SequenceRequest` */
  const continueWith = async (
    prompt: readonly number[],
    maxTokens: number,
    logprobs?: number,
  ): Promise<readonly TokenReport[]> => {
    const { tokens, finish } = await submit(
      request({ prompt, maxTokens, ...(logprobs === undefined ? {} : { logprobs }) }),
    );
    expect(finish).toMatchObject({ reason: 'max_tokens' });
    return tokens;
  };
  const run = async (prompt: readonly number[], maxTokens: number): Promise<number[]> =>
    idsOf({ tokens: await continueWith(prompt, maxTokens) });
  return { facts, refusal, said, batches, run, continueWith, submit, send, untilTokens, hasEnded, most, child };
}
