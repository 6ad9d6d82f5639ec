/**
 * Log-probabilities of the embedded model, computed without any code of the worker: the logits come from
 * onnxruntime-node, the softmax is computed here in double precision.
 */
import { join } from 'node:path';
// biome-ignore lint/style/noRestrictedImports: the reference must not share code with the engine.
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { embeddedModel } from '../../../src/model/folder.ts';

const KV_HEADS = 4;
const HEAD_DIM = 16;

/** The log-probability of one id behind all ids before it, and the id that is most probable there. */
export interface Scored {
  readonly logprob: number;
  readonly best: number;
}

export class ReferenceModel {
  readonly #session: InferenceSession;

  private constructor(session: InferenceSession) {
    this.#session = session;
  }

  static async open(): Promise<ReferenceModel> {
    return new ReferenceModel(await InferenceSession.create(join(embeddedModel(), 'onnx', 'model.onnx')));
  }

  /** Scores every id but the first: entry i is for id i + 1. */
  async score(ids: readonly number[]): Promise<Scored[]> {
    const logits = await this.#logits(ids);
    return ids.slice(1).map((id, index) => scored(logits[index] ?? new Float32Array(), id));
  }

  /** The most probable id behind these ids. */
  async best(ids: readonly number[]): Promise<number> {
    const logits = await this.#logits(ids);
    return scored(logits.at(-1) ?? new Float32Array(), 0).best;
  }

  async close(): Promise<void> {
    await this.#session.release();
  }

  /** The logits behind each id, computed in one run without a cache. */
  async #logits(ids: readonly number[]): Promise<Float32Array[]> {
    const length = ids.length;
    const feeds: Record<string, Tensor> = {
      input_ids: new Tensor('int64', BigInt64Array.from(ids, BigInt), [1, length]),
      attention_mask: new Tensor('int64', new BigInt64Array(length).fill(1n), [1, length]),
    };
    for (const name of this.#session.inputNames)
      feeds[name] ??= new Tensor('float32', new Float32Array(), [1, KV_HEADS, 0, HEAD_DIM]);
    const { logits } = await this.#session.run(feeds, ['logits']);
    const data = logits?.data as Float32Array;
    const vocabulary = data.length / length;
    return ids.map((_, index) => data.subarray(index * vocabulary, (index + 1) * vocabulary));
  }
}

function scored(logits: Float32Array, id: number): Scored {
  const largest = logits.reduce((most, one) => Math.max(most, one), Number.NEGATIVE_INFINITY);
  const sum = logits.reduce((total, one) => total + Math.exp(one - largest), 0);
  return { logprob: (logits[id] ?? Number.NaN) - largest - Math.log(sum), best: logits.indexOf(largest) };
}
