/**
 * Whether a device works: ten tokens on it, in an engine process of their own, so that a driver that crashes or hangs takes nothing with it.
 */
import { EngineLostError, EngineRefusedError } from '../../bridge/child.ts';
import { EngineClient } from '../../bridge/client.ts';
import { sanitize } from '../../narration/sanitize.ts';
import type { EngineOptions } from '../../protocol/loading.ts';
import type { Sampling, SequenceRequest } from '../../protocol/messages.ts';

const SMOKE_TOKENS = 10;
/** For the opening, and for the tokens: a driver compiles its kernels at first use, one in software takes a minute for them. */
const TIMEOUT_MS = 120_000;
/** Most characters of what an engine said. */
const LONGEST_PROBLEM = 500;

/** How ten tokens went. */
export interface SmokeTestRun {
  /** `refused`: the model could not be opened there. `lost`: the process crashed or hung. `failed`: it opened, and a run failed. */
  readonly outcome: 'ran' | 'refused' | 'lost' | 'failed';
  readonly ids: readonly number[];
  /** In one sentence, unless it ran. */
  readonly problem?: string;
  /** From the start of the process to the first runs, in milliseconds. */
  readonly openMs?: number;
  /** Of decoding: without the prompt and its first token. */
  readonly tokensPerSecond?: number;
  readonly deviceBytes?: number;
}

/** Opens the model where `options` say and draws ten tokens, greedily. Never throws; takes twice `timeoutMs` at most. */
export async function drawTen(
  options: EngineOptions,
  prompt: readonly number[],
  environment: NodeJS.ProcessEnv,
  timeoutMs = TIMEOUT_MS,
): Promise<SmokeTestRun> {
  const client = new EngineClient({ environment, stepMs: timeoutMs });
  const began = performance.now();
  try {
    const { deviceBytes } = await client.start(options, timeoutMs);
    const openMs = performance.now() - began;
    return { ...(await draw(client, prompt, timeoutMs)), openMs, deviceBytes };
  } catch (error) {
    return { ...failure(error), ids: [] };
  } finally {
    await client.close();
  }
}

async function draw(client: EngineClient, prompt: readonly number[], timeoutMs: number): Promise<SmokeTestRun> {
  const ids: number[] = [];
  for await (const { report } of client.submit(requestOf(prompt), AbortSignal.timeout(timeoutMs))) {
    ids.push(...report.tokens.map(({ id }) => id));
    const { finish } = report;
    if (finish && 'message' in finish) return { outcome: 'failed', ids, problem: cleaned(finish.message) };
    if (finish?.reason === 'max_tokens') {
      const { decodeMs } = finish.timings;
      return { outcome: 'ran', ids, tokensPerSecond: ((ids.length - 1) * 1000) / Math.max(decodeMs, 1e-3) };
    }
  }
  return { outcome: 'failed', ids, problem: `${ids.length} tokens within ${timeoutMs / 1000} s` };
}

/** The likeliest id, and nothing else. */
export const GREEDY: Sampling = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  frequencyPenalty: 0,
  presencePenalty: 0,
  seed: 0,
};

const requestOf = (prompt: readonly number[]): Omit<SequenceRequest, 'id'> => ({
  prompt,
  maxTokens: SMOKE_TOKENS,
  minTokens: SMOKE_TOKENS,
  endIds: [],
  sampling: GREEDY,
});

function failure(error: unknown): Pick<SmokeTestRun, 'outcome' | 'problem'> {
  if (error instanceof EngineRefusedError) return { outcome: 'refused', problem: cleaned(error.message) };
  if (!(error instanceof EngineLostError)) return { outcome: 'failed', problem: cleaned(String(error)) };
  const last = error.loss?.stderrTail.split('\n').at(-1) ?? '';
  return { outcome: 'lost', problem: cleaned(`the engine ended (${error.message})${last === '' ? '' : `: ${last}`}`) };
}

/** What an engine or a driver says may hold anything. */
const cleaned = (text: string): string => sanitize(text, LONGEST_PROBLEM);
