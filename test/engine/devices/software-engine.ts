/** An engine process with WebGPU on a software renderer. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { expect } from 'vitest';
import type { EngineFacts, EngineOptions } from '../../../src/protocol/loading.ts';
import type { FromEngine, ToEngine } from '../../../src/protocol/messages.ts';
import type { Refusal } from '../../../src/protocol/reasons.ts';
import { softwareVulkan } from '../../support/vulkan.ts';
import { engineProcess, options, request } from '../harness.ts';

/** SwiftShader compiles a shader for every operator and shape that is new to it. */
export const TIMEOUT_MS = 600_000;

const children: ChildProcess[] = [];

/** Ends the engine processes of a test. */
export const endEngines = (): void => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
};

/** An engine process that finds the software renderer: a process looks up its libraries when it starts. */
export async function openEngine(overrides: Partial<EngineOptions>) {
  const child = fork(engineProcess, {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    serialization: 'advanced',
    env: { ...softwareVulkan },
  });
  children.push(child);
  const ids = new Map<number, number[]>();
  const ended = new Map<number, string>();
  let facts: EngineFacts | undefined;
  let refusal: Refusal | undefined;
  const said: FromEngine[] = [];
  child.on('message', (message: FromEngine) => {
    if (message.kind !== 'report') said.push(message);
    if (message.kind === 'opened') facts = message.facts;
    if (message.kind === 'refused') refusal = message;
    for (const { id, tokens, finish } of message.kind === 'report' ? message.sequences : []) {
      ids.set(id, [...(ids.get(id) ?? []), ...tokens.map((token) => token.id)]);
      if (finish) ended.set(id, 'message' in finish ? finish.message : finish.reason);
    }
  });
  const send = (message: ToEngine) => child.send(message);
  send({ kind: 'open', options: { ...options, ...overrides } });
  while (!facts && !refusal) await once(child, 'message');
  const run = async (prompt: readonly number[], maxTokens: number): Promise<number[]> => {
    const asked = request({ prompt, maxTokens });
    send({ kind: 'submit', request: asked });
    while (!ended.has(asked.id)) await once(child, 'message');
    expect(ended.get(asked.id)).toBe('max_tokens');
    return ids.get(asked.id) ?? [];
  };
  return { facts, refusal, said, run };
}
