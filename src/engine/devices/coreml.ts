/**
 * Core ML on macOS. Not tested on a Mac yet. Core ML manages weights and workspace; the KV cache is in host
 * memory.
 */
import { type DeviceFamily, HOST_MEMORY, single } from './device.ts';

export const coreml: DeviceFamily = single({
  name: 'coreml',
  obstacle: () => (process.platform === 'darwin' ? undefined : { code: 'wrong_platform', needs: 'macOS' }),
  appendProvider: (api, options) => api.appendProvider(options, 'CoreML', ['ModelFormat'], ['MLProgram'], 1),
  ...HOST_MEMORY,
});
