/**
 * Compiles the sampler's passes: src/engine/sampling/kernels.wat → the text of
 * src/engine/sampling/kernels.wasm.ts.
 */
import { readFileSync } from 'node:fs';
import loadWabt from 'wabt';

const SOURCE = new URL('../src/engine/sampling/kernels.wat', import.meta.url);
const FEATURES = { simd: true };

// Loaded here, so that `kernels` is synchronous.
const wabt = await loadWabt();

/** The text of the file. */
export function kernels(): string {
  const module = wabt.parseWat('kernels.wat', readFileSync(SOURCE, 'utf8'), FEATURES);
  module.validate();
  const { buffer } = module.toBinary({});
  module.destroy();
  return `/** Made by \`npm run generate\`: edit kernels.wat instead. The sampler's passes as WebAssembly, in base64. */
export const KERNELS =
  '${Buffer.from(buffer).toString('base64')}';
`;
}
