/**
 * Sentences about limits of the machine. Lifecycle events: they go to stdout only.
 */
import { lifecycleEvent } from '../entry.ts';
import { formatBytes } from '../phrases.ts';

export const HOST_EVENTS = {
  'address_space.limited': lifecycleEvent({
    actor: 'rbees-workerd',
    action: 'limit_read',
    level: 'INFO',
    when: 'the address space is limited (ulimit -v): the engine runs WebAssembly without guard pages, which need 10 GiB of addresses',
    required: ['address_space_bytes'],
    target: (_, worker) => worker,
    human: (f) =>
      `Address space is limited to ${formatBytes(f.address_space_bytes)}: WebAssembly runs without guard pages`,
    cute: () => '📏 A snug little hive this is. We tuck in our elbows and hum along!',
  }),
  'memory.unreserved': lifecycleEvent({
    actor: 'inference-engine',
    action: 'memory_plan',
    level: 'INFO',
    when: 'the engine could not reserve its memory in the folder for temporary files: workers that start at the same time may plan with the same free memory',
    required: ['device', 'reason'],
    target: (f) => f.device,
    human: (f) => `Engine does not coordinate its memory with other workers: ${f.reason}`,
    cute: () => '🪑 No name tags for the chairs today. Let us hope that everybody finds a seat!',
  }),
} as const;
