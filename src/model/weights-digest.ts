/**
 * A digest of weights that tells two models apart, or two dtypes of one model. Reads samples of the files,
 * because all bytes of large weights would take seconds.
 */
import { createHash } from 'node:crypto';
import { open, stat } from 'node:fs/promises';

/**
 * Bytes of a sample, and samples of a file. A model that differs in a tenth of its bytes, such as one with a
 * merged adapter, has another digest but for one case in 10^11.
 */
const SAMPLE_BYTES = 512;
const SAMPLES = 256;

/**
 * The digest of the sizes and of evenly spread samples of all files, in hex digits. The names and the order
 * of the files do not matter.
 * @param dtype the dtype to which the engine converts the weights; absent: they stay as they are
 * @throws Error if a file cannot be read
 */
export async function digestWeights(files: readonly string[], dtype?: string): Promise<string> {
  const digests: string[] = [];
  // One file after the other: a checkpoint has up to 1024 files, and each has 256 samples.
  for (const file of files) digests.push(await digestFile(file));
  const parts = [...digests.sort(), ...(dtype === undefined ? [] : [dtype])];
  return createHash('sha256').update(parts.join()).digest('hex');
}

async function digestFile(path: string): Promise<string> {
  const { size } = await stat(path);
  const hash = createHash('sha256').update(String(size));
  const file = await open(path);
  try {
    const last = Math.max(0, size - SAMPLE_BYTES);
    const read = Array.from({ length: SAMPLES }, (_, sample) =>
      file.read(Buffer.alloc(SAMPLE_BYTES), 0, SAMPLE_BYTES, Math.floor((last * sample) / (SAMPLES - 1))),
    );
    for (const { buffer, bytesRead } of await Promise.all(read)) hash.update(buffer.subarray(0, bytesRead));
  } finally {
    await file.close();
  }
  return hash.digest('hex');
}
