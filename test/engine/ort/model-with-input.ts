/** A copy of the embedded model with an input that no engine knows. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { modelFile } from '../harness.ts';

/** A field of bytes of a protobuf message: number, length, content. */
function field(number: number, content: Uint8Array | string): Buffer {
  const bytes = Buffer.from(content);
  return Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes]);
}

/**
 * The embedded model with one more input, int64 without a shape: protobuf merges appended messages into the
 * first.
 */
export function modelWithInput(folder: string, name: string): string {
  const int64 = Buffer.from([0x08, 7]);
  const input = Buffer.concat([field(1, name), field(2, field(1, int64))]);
  const file = join(folder, `${name}.onnx`);
  writeFileSync(file, Buffer.concat([readFileSync(modelFile), field(7, field(11, input))]));
  return file;
}
