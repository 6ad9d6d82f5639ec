/**
 * The random checkpoints of all families as GGUF files: the described decoder computes the logits of the original
 * checkpoint, in float64 and without a graph.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { decoderSpecOf } from '../../../../src/model/checkpoint/families/decoder-spec.ts';
import { deriveConfig } from '../../../../src/model/checkpoint/gguf/config/derive-config.ts';
import { readGguf } from '../../../../src/model/checkpoint/gguf/read-gguf.ts';
import { BFLOAT16, FLOAT16, FLOAT32 } from '../../../../src/onnx/types.ts';
import type { DecoderSpec, TensorPlace } from '../../../../src/protocol/decoder/decoder-spec.ts';
import { referenceLogits } from '../../../graph-builder/reference-decoder.ts';
import { CHECKPOINTS, type CheckpointModel, CONTEXT } from '../../../support/checkpoints/models.ts';
import { tensorsOf } from '../../../support/checkpoints/tensors.ts';
import { convertedModel } from '../../../support/gguf/converted-model.ts';
import { ggufBytes } from '../../../support/gguf/gguf-bytes.ts';

const root = mkdtempSync(join(tmpdir(), 'converted-'));
afterAll(() => rmSync(root, { recursive: true }));

/**
 * There is no key for the windows of Qwen2, for the layers without positions of a SmolLM3 with another interval, and
 * for layers of Qwen3-MoE without experts. MXFP4 is in blocks of another order.
 */
const WITHOUT_A_KEY = ['qwen2-window', 'smollm3-interval', 'gpt-oss-mxfp4', 'qwen3-moe-raw'];
/** Longer than the windows of the models. */
const IDS = Array.from({ length: 48 }, (_, i) => (7 * i * i + 3 * i + 5) % 258);
const TYPES: Readonly<Record<string, number>> = { F32: FLOAT32, F16: FLOAT16, BF16: BFLOAT16 };

/** Gemma's scale of the attention and the limit of gpt-oss have no key: the file means their usual values. */
function withUsualValues(model: CheckpointModel): CheckpointModel {
  const { config } = model;
  const usual = { query_pre_attn_scalar: config.head_dim, swiglu_limit: 7 };
  const given = Object.entries(usual).filter(([name]) => name in config);
  return { ...model, config: { ...config, ...Object.fromEntries(given) } };
}

function originalLogits(model: CheckpointModel): readonly (readonly number[])[] {
  const tensors = new Map<string, TensorPlace>();
  const parts = tensorsOf(model);
  let offset = 0;
  for (const { name, dtype, shape, data } of parts) {
    tensors.set(name, { file: 0, offset, bytes: data.length, type: TYPES[dtype] ?? 0, shape });
    offset += data.length;
  }
  const spec = decoderSpecOf({ ...model.config }, tensors, CONTEXT);
  return referenceLogits(
    spec as DecoderSpec<TensorPlace>,
    Uint8Array.from(Buffer.concat(parts.map(({ data }) => data))),
    IDS,
  );
}

async function convertedLogits(name: string, model: CheckpointModel): Promise<readonly (readonly number[])[]> {
  const file = `${name}.gguf`;
  writeFileSync(join(root, file), ggufBytes(convertedModel(model)));
  const problems: unknown[] = [];
  const read = await readGguf(root, file, problems as []);
  expect(problems).toEqual([]);
  const { config, tensors, origin } = deriveConfig(read!);
  const spec = decoderSpecOf(config, tensors, CONTEXT, origin);
  return referenceLogits(spec as DecoderSpec<TensorPlace>, Uint8Array.from(readFileSync(join(root, file))), IDS);
}

describe('a GGUF file of the same weights', () => {
  const models = CHECKPOINTS.filter(({ name }) => !WITHOUT_A_KEY.includes(name));
  it.each(models.map((one) => [one.name, one] as const))('computes the logits of %s', async (name, one) => {
    const model = withUsualValues(one);
    const expected = originalLogits(model);
    const found = await convertedLogits(name, model);
    const scale = Math.max(...expected.flat().map(Math.abs));
    const differences = expected.flatMap((row, at) => row.map((logit, id) => Math.abs(found[at]![id]! - logit)));
    expect(Math.max(...differences)).toBeLessThan(1e-4 * scale);
  });
});
