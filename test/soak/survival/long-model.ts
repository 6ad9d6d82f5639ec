/**
 * The embedded model with rotary tables for a longer context. It was trained for 512 tokens, so that a longer
 * output has no sense; but each token depends on all tokens before it, which is all that a comparison needs.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseModel } from '../../../src/onnx/graph.ts';
import { type Message, writeBytes, writeNumber } from '../../../src/onnx/protobuf.ts';
import { FLOAT32, GRAPH, MODEL, TENSOR } from '../../../src/onnx/types.ts';
import { makeWideModel } from '../../support/wide-model.ts';

/** The base of the rotary embedding, and half of the size of a head: config.json. */
const THETA = 10_000;
const HALF_HEAD = 8;
const TABLES: Readonly<Record<string, (angle: number) => number>> = { cos_cache: Math.cos, sin_cache: Math.sin };

/**
 * Makes the model in this folder, which must not exist.
 * @param context its tokens
 * @throws Error if the embedded model has other tables
 */
export async function makeLongModel(folder: string, context: number): Promise<void> {
  await makeWideModel(folder, context);
  const file = join(folder, 'onnx', 'model.onnx');
  const parsed = parseModel(await readFile(file));
  if (!parsed) throw new Error('The embedded model has no single graph.');
  const { root, field, graph } = parsed;
  let replaced = 0;
  const changed = graph.message.rewrite((part) => {
    if (part.number !== GRAPH.initializer) return undefined;
    const name = nameOf(graph.message.message(part));
    const table = TABLES[name];
    if (!table) return undefined;
    replaced += 1;
    return writeBytes(GRAPH.initializer, tensor(name, context, table));
  });
  if (replaced !== 2) throw new Error(`The embedded model has ${replaced} rotary tables instead of 2.`);
  await writeFile(
    file,
    Buffer.concat(root.rewrite((part) => (part === field ? writeBytes(MODEL.graph, changed) : undefined))),
  );
}

const nameOf = (initializer: Message): string => initializer.text(initializer.last(TENSOR.name));

/** An initializer float32 [context, half of a head]. */
function tensor(name: string, context: number, of: (angle: number) => number): Uint8Array[] {
  const values = Buffer.alloc(context * HALF_HEAD * Float32Array.BYTES_PER_ELEMENT);
  for (let position = 0; position < context; position += 1)
    for (let index = 0; index < HALF_HEAD; index += 1) {
      const angle = position / THETA ** (index / HALF_HEAD);
      values.writeFloatLE(of(angle), (position * HALF_HEAD + index) * Float32Array.BYTES_PER_ELEMENT);
    }
  return [
    writeNumber(TENSOR.dimensions, context),
    writeNumber(TENSOR.dimensions, HALF_HEAD),
    writeNumber(TENSOR.type, FLOAT32),
    ...writeBytes(TENSOR.name, name),
    ...writeBytes(TENSOR.raw, [values]),
  ];
}
