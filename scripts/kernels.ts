/** Compiles WebAssembly: src/engine/…/kernels.wat → the text of src/engine/…/kernels.wasm.ts. */
import { readFileSync } from 'node:fs';
import loadWabt from 'wabt';

const ENGINE = new URL('../src/engine/', import.meta.url);
const FEATURES = { simd: true };

// Loaded here, so that `kernels` is synchronous.
const wabt = await loadWabt();

/**
 * The text of the file.
 * @param folder the folder of kernels.wat in src/engine.
 * @param content the passes in the file, as a phrase.
 */
export function kernels(folder: string, content: string): string {
  const source = readFileSync(new URL(`${folder}/kernels.wat`, ENGINE), 'utf8');
  const module = wabt.parseWat('kernels.wat', source, FEATURES);
  module.validate();
  const { buffer } = module.toBinary({});
  module.destroy();
  return `/** Made by \`npm run generate\`: edit kernels.wat instead. ${content} as WebAssembly, in base64. */
export const KERNELS =
  '${Buffer.from(buffer).toString('base64')}';
`;
}
