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
} as const;
