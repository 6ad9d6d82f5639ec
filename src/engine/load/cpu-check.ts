/**
 * Compares a device with the CPU when a model is opened: opens the same weights on the CPU, runs one short
 * prompt on both, and closes the session of the CPU. A comparison of a device with itself cannot find an
 * operator that is wrong in every run.
 */
import { FLOAT16 } from '../../onnx/types.ts';
import type { EngineOptions } from '../../protocol/loading.ts';
import { deviceNamed } from '../devices/registry.ts';
import type { OrtApi } from '../ort/api.ts';
import { type GraphCandidate, modelOf } from '../ort/built-model.ts';
import { Session } from '../ort/session.ts';
import { bytesOf, rowBytes, type Signature } from '../ort/signature.ts';
import { threadsFor } from '../ort/threads.ts';
import { differenceFromCpu, logitsOfPrompt, PROMPT_LENGTH } from './numeric-check.ts';

/** A comparison that is expected to take longer is left out. */
export const MAX_CPU_CHECK_MS = 1000;
/**
 * Bytes of weights per second that the CPU opens and runs once. Measured on two cores with a model of 135 M
 * parameters: float32 360 MB/s, 4-bit weights 320 MB/s, 4-bit weights with half floats 120 MB/s, because the
 * CPU widens them.
 */
const BYTES_PER_SECOND = { wide: 320e6, half: 120e6 };
/** The runtime's copies of the weights for its matrix products. */
const COPIES_OF_WEIGHTS = 2;

/** The model that is open on the device. */
interface CheckedModel {
  readonly api: OrtApi;
  readonly candidate: GraphCandidate;
  readonly options: Pick<EngineOptions, 'names' | 'context' | 'threads'>;
  /** Bytes of the weights on the CPU. */
  readonly weightBytes: number;
}

/** The result of the comparison. */
export interface CpuCheck {
  readonly cpuDifference: number;
  readonly cpuCheckMs: number;
}

/**
 * Runs a short prompt on the session of a device and on the CPU. Overwrites row 0 of the session.
 * @returns undefined without a comparison: the weights are too large for a comparison within a second, they
 * do not fit into the free memory, or the CPU cannot compute the model.
 * @throws LoadError `computes_wrong` if the logits differ by more than rounding.
 */
export function compareWithCpu(session: Session, model: CheckedModel): CpuCheck | undefined {
  const began = performance.now();
  if (expectedMs(session.signature, model.weightBytes) > MAX_CPU_CHECK_MS) return undefined;
  const expected = logitsOnCpu(session.signature, model);
  if (!expected) return undefined;
  const cpuDifference = differenceFromCpu(logitsOfPrompt(session, model.options.context), expected);
  return { cpuDifference, cpuCheckMs: performance.now() - began };
}

function expectedMs({ caches, logits }: Signature, weightBytes: number): number {
  const half = [logits, ...caches].some(({ type }) => type === FLOAT16);
  return (1000 * weightBytes) / (half ? BYTES_PER_SECOND.half : BYTES_PER_SECOND.wide);
}

/** The logits of the CPU; undefined if it cannot open or run the model, or computes no numbers. */
function logitsOnCpu(
  signature: Signature,
  { api, candidate, options, weightBytes }: CheckedModel,
): Float32Array | undefined {
  const cpu = deviceNamed('cpu');
  const tokens = Math.min(PROMPT_LENGTH, options.context);
  const logits = bytesOf(signature.logits.type, [tokens, signature.vocabSize]);
  const needed = COPIES_OF_WEIGHTS * weightBytes + rowBytes(signature, tokens) + logits + cpu.workBytes;
  if (needed > (cpu.freeBytes() ?? Number.POSITIVE_INFINITY)) return undefined;
  const { names } = options;
  let session: Session | undefined;
  try {
    const model = modelOf(candidate, cpu.name, { ...options, gpuGraph: 'off' });
    session = Session.open(api, model, cpu, { names, threads: threadsFor(options.threads, weightBytes).count });
    session.reserve({ rows: 1, capacity: tokens, chunk: tokens, keep: 1 });
    const found = logitsOfPrompt(session, options.context);
    return found.every(Number.isFinite) && found.some((logit) => logit !== 0) ? found : undefined;
  } catch {
    return undefined; // The CPU lacks an operator, for example one over half floats.
  } finally {
    session?.close();
  }
}
