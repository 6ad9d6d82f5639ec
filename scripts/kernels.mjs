/** Compiles the sampler's passes: src/engine/sampling/kernels.wat → the text of src/engine/sampling/kernels.wasm.ts. */
import { readFileSync } from 'node:fs';
import loadWabt from 'wabt';

const SOURCE = new URL('../src/engine/sampling/kernels.wat', import.meta.url);
const FEATURES = { simd: true };

// Here and not in the function, which its callers expect to answer at once.
const wabt = await loadWabt();

export function kernels() {
  const module = wabt.parseWat('kernels.wat', readFileSync(SOURCE, 'utf8'), FEATURES);
  module.validate(FEATURES);
  const { buffer } = module.toBinary({});
  module.destroy();
  return `/** Made by \`npm run generate\`: edit kernels.wat instead. The sampler's passes as WebAssembly, in base64. */
export const KERNELS =
  '${Buffer.from(buffer).toString('base64')}';
`;
}
