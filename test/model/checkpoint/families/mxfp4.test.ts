/** gpt-oss as its authors publish it: experts in MXFP4, in tensors of all experts of a layer. */
import { describe, expect, test } from 'vitest';
import { decoderSpecOf } from '../../../../src/model/checkpoint/families/decoder-spec.ts';
import { BFLOAT16, UINT8 } from '../../../../src/onnx/types.ts';
import type { ExpertsSpec, TensorPlace } from '../../../../src/protocol/decoder/decoder-spec.ts';
import { checkpointNamed } from '../../../support/checkpoints/models.ts';
import { tensorsOf } from '../../../support/checkpoints/tensors.ts';
import { problemsOf } from './problems.ts';

const MODEL = checkpointNamed('gpt-oss-mxfp4');
const BLOCKS = 'model.layers.1.mlp.experts.gate_up_proj_blocks';
type Tensors = Map<string, TensorPlace>;

function places(): Tensors {
  let offset = 0;
  return new Map(
    tensorsOf(MODEL).map(({ name, dtype, shape, data }) => {
      offset += data.length;
      const type = dtype === 'U8' ? UINT8 : BFLOAT16;
      return [name, { file: 0, offset: offset - data.length, bytes: data.length, type, shape }];
    }),
  );
}

function problemsAfter(change: (tensors: Tensors, place: TensorPlace) => void, fields = {}): string[] {
  const tensors = places();
  change(tensors, tensors.get(BLOCKS) as TensorPlace);
  return problemsOf(() => decoderSpecOf({ ...MODEL.config, ...fields }, tensors, 128));
}

describe('experts in MXFP4', () => {
  test('are two matrices of all experts, at their places', () => {
    const tensors = places();
    const { mlp } = decoderSpecOf({ ...MODEL.config }, tensors, 128).layers[1] ?? {};
    const { offset, bytes } = tensors.get(BLOCKS) as TensorPlace;
    const scales = tensors.get(BLOCKS.replace('blocks', 'scales')) as TensorPlace;
    expect((mlp as ExpertsSpec).experts).toMatchObject({
      count: 8,
      gateUp: { offset, bytes: bytes + scales.bytes, shape: [8 * 192, 64], scales: { offset: scales.offset } },
      down: { format: 'mxfp4', shape: [8 * 64, 96] },
    });
  });

  test('of another shape are refused with both shapes', () => {
    const [problem] = problemsAfter((tensors, place) => tensors.set(BLOCKS, { ...place, shape: [8, 192, 1, 32] }));
    expect(problem).toContain(`"${BLOCKS}" with the shape [8,192,1,32]; allowed by config.json: [8,192,2,16]`);
  });

  test('of another type are refused with the type', () => {
    const [problem] = problemsAfter((tensors, place) => tensors.set(BLOCKS, { ...place, type: BFLOAT16 }));
    expect(problem).toContain(`"${BLOCKS}" of the type bfloat16; allowed: uint8`);
  });

  test('without their scales are refused', () => {
    const scales = BLOCKS.replace('blocks', 'scales');
    const [problem] = problemsAfter((tensors) => tensors.delete(scales));
    expect(problem).toContain(`lacks the tensor "${scales}" of the shape [8,192,2]`);
  });

  test('are a way out for a file with all experts in one tensor of floats', () => {
    const name = 'model.layers.0.mlp.experts.gate_up_proj';
    const floats = (tensors: Tensors, place: TensorPlace) => tensors.set(name, { ...place, type: BFLOAT16 });
    const [problem] = problemsAfter(floats, { quantization_config: null });
    expect(problem).toContain(`has all experts in the tensor "${name}"; allowed: tensors of each expert`);
    expect(problem).toContain('Use the checkpoint of its authors, which has the experts in MXFP4, or a GGUF file');
  });

  test('that the configuration does not state are refused', () => {
    const problems = problemsAfter(() => undefined, { quantization_config: null });
    expect(problems.length).toBeGreaterThan(0);
    expect(problems[0]).toContain('lacks the tensor "model.layers.0.mlp.experts.0.gate_proj.weight"');
  });
});
