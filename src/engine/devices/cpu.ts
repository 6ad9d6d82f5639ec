/** The CPU: the runtime's default execution provider, with the KV cache in memory of this process. */
import { type DeviceFamily, HOST_MEMORY, single } from './device.ts';

export const cpu: DeviceFamily = single({
  name: 'cpu',
  obstacle: () => undefined,
  appendProvider: () => undefined,
  ...HOST_MEMORY,
});
