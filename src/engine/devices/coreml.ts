/**
 * Core ML on macOS. Not yet tested: no such machine was available. Core ML places weights and work; the cache
 * stays on the host.
 */
import { type DeviceFamily, HOST_MEMORY, single } from './device.ts';

export const coreml: DeviceFamily = single({
  name: 'coreml',
  obstacle: () => (process.platform === 'darwin' ? undefined : { code: 'wrong_platform', needs: 'macOS' }),
  appendProvider: (api, options) => api.appendProvider(options, 'CoreML', ['ModelFormat'], ['MLProgram'], 1),
  ...HOST_MEMORY,
});
