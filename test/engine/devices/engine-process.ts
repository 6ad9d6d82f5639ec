/**
 * An engine process on the software renderer of WebGPU: a process looks up its libraries when it starts, so the
 * engine cannot run in the process of the tests.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { expect } from 'vitest';
import type { EngineFacts, EngineOptions } from '../../../src/protocol/loading.ts';
import type { FromEngine, ToEngine, TokenReport } from '../../../src/protocol/messages.ts';
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

/** Opens a model. `refusal` is present if no device of the candidates could open it. */
export async function openEngine(overrides: Partial<EngineOptions>) {
  const child = fork(engineProcess, {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    serialization: 'advanced',
    env: { ...softwareVulkan },
  });
  children.push(child);
  const reported = new Map<number, TokenReport[]>();
  const ended = new Map<number, string>();
  let facts: EngineFacts | undefined;
  let refusal: Refusal | undefined;
  const said: FromEngine[] = [];
  child.on('message', (message: FromEngine) => {
    if (message.kind !== 'report') said.push(message);
    if (message.kind === 'opened') facts = message.facts;
    if (message.kind === 'refused') refusal = message;
    for (const { id, tokens, finish } of message.kind === 'report' ? message.sequences : []) {
      reported.set(id, [...(reported.get(id) ?? []), ...tokens]);
      if (finish) ended.set(id, 'message' in finish ? finish.message : finish.reason);
    }
  });
  const send = (message: ToEngine) => child.send(message);
  send({ kind: 'open', options: { ...options, ...overrides } });
  while (!facts && !refusal) await once(child, 'message');
  /** All tokens of a greedy continuation. @param logprobs as in `SequenceRequest` */
  const continueWith = async (
    prompt: readonly number[],
    maxTokens: number,
    logprobs?: number,
  ): Promise<TokenReport[]> => {
    const asked = request({ prompt, maxTokens, ...(logprobs === undefined ? {} : { logprobs }) });
    send({ kind: 'submit', request: asked });
    while (!ended.has(asked.id)) await once(child, 'message');
    expect(ended.get(asked.id)).toBe('max_tokens');
    return reported.get(asked.id) ?? [];
  };
  const run = async (prompt: readonly number[], maxTokens: number): Promise<number[]> =>
    (await continueWith(prompt, maxTokens)).map(({ id }) => id);
  return { facts, refusal, said, run, continueWith };
}
