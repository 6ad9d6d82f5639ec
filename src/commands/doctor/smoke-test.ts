/**
 * Tests a device: generates ten tokens in a separate engine process, because a driver can crash or hang the
 * process that uses it.
 */
import { EngineLostError, EngineRefusedError } from '../../bridge/child.ts';
import { EngineClient } from '../../bridge/client.ts';
import { describeRefusal } from '../../lifecycle/reasons.ts';
import { sanitize } from '../../narration/sanitize.ts';
import type { EngineOptions } from '../../protocol/loading.ts';
import type { SequenceRequest } from '../../protocol/messages.ts';
import type { Reason } from '../../protocol/reasons.ts';
import { GREEDY } from '../../protocol/sampling.ts';
import type { ThreadCount } from '../../protocol/threads.ts';

const SMOKE_TOKENS = 10;
/**
 * Limit for opening the model, and again for the tokens. A driver compiles its kernels at first use; a
 * software renderer takes a minute.
 */
const TIMEOUT_MS = 120_000;
/** Maximum characters of an engine's message. */
const MAX_PROBLEM_CHARS = 500;

/** The result of a smoke test. */
export interface SmokeTestRun {
  /**
   * `ran`: all tokens were generated. `refused`: the model did not open. `lost`: the process crashed or hung.
   * `failed`: the model opened, and a step failed.
   */
  readonly outcome: 'ran' | 'refused' | 'lost' | 'failed';
  /** The generated tokens. */
  readonly ids: readonly number[];
  /** One sentence; absent if all tokens were generated. */
  readonly problem?: string;
  /** The reason of the engine that refused the model. */
  readonly reason?: Reason;
  /** Milliseconds from the start of the process until the model is open and warmed up. */
  readonly openMs?: number;
  /** Speed of decoding, without prompt and first token. */
  readonly tokensPerSecond?: number;
  readonly deviceBytes?: number;
  readonly threads?: ThreadCount;
}

/**
 * Opens the model of `options` and generates ten tokens greedily. Never throws; takes at most twice
 * `timeoutMs`.
 * @param prompt ids of the prompt
 * @param environment the environment of the engine process
 */
export async function generateTen(
  options: EngineOptions,
  prompt: readonly number[],
  environment: NodeJS.ProcessEnv,
  timeoutMs = TIMEOUT_MS,
): Promise<SmokeTestRun> {
  const client = new EngineClient({ environment, stepMs: timeoutMs, onEngineLoss: 'fail' });
  const began = performance.now();
  try {
    const { deviceBytes, threads } = await client.start(options, timeoutMs);
    const openMs = performance.now() - began;
    return { ...(await generate(client, prompt, timeoutMs)), openMs, deviceBytes, threads };
  } catch (error) {
    return { ...failure(error), ids: [] };
  } finally {
    await client.close();
  }
}

async function generate(client: EngineClient, prompt: readonly number[], timeoutMs: number): Promise<SmokeTestRun> {
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
  return { outcome: 'failed', ids, problem: `only ${ids.length} tokens within ${timeoutMs / 1000} s` };
}

const requestOf = (prompt: readonly number[]): Omit<SequenceRequest, 'id'> => ({
  prompt,
  maxTokens: SMOKE_TOKENS,
  minTokens: SMOKE_TOKENS,
  endIds: [],
  sampling: GREEDY,
});

function failure(error: unknown): Pick<SmokeTestRun, 'outcome' | 'problem' | 'reason'> {
  if (error instanceof EngineRefusedError) {
    const { reason } = error.refusal;
    return { outcome: 'refused', problem: cleaned(describeRefusal(error.refusal)), reason };
  }
  if (!(error instanceof EngineLostError)) return { outcome: 'failed', problem: cleaned(String(error)) };
  const last = error.loss?.stderrTail.split('\n').at(-1) ?? '';
  return { outcome: 'lost', problem: cleaned(`the engine ended (${error.message})${last === '' ? '' : `: ${last}`}`) };
}

/** Messages of an engine or a driver may contain any character. */
const cleaned = (text: string): string => sanitize(text, MAX_PROBLEM_CHARS);
