/**
 * Sentences about limits of the machine, and about memory that its workers share. Lifecycle events: they go
 * to stdout only.
 */
import { lifecycleEvent } from '../entry.ts';
import { formatBytes, formatEta, formatMs } from '../phrases.ts';

const ENGINE = 'inference-engine';

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
  'weights.converting': lifecycleEvent({
    actor: ENGINE,
    action: 'weights_convert',
    level: 'INFO',
    when: 'the engine begins to convert the weights of the model into the form in which the device computes; all workers of the machine then map the converted file',
    required: ['device', 'bytes_read', 'disk_bytes', 'eta_ms'],
    target: (f) => f.device,
    human: (f) =>
      `Engine converts ${formatBytes(f.bytes_read)} of weights: ${formatBytes(f.disk_bytes)} of disk, ${formatEta(f.eta_ms)}`,
    cute: () => '🧁 New dough from good old flour. It only has to be kneaded once!',
  }),
  'weights.convert_progress': lifecycleEvent({
    actor: ENGINE,
    action: 'weights_convert',
    level: 'INFO',
    when: 'the engine has converted 25, 50 or 75 % of the weights',
    required: ['device', 'percent', 'eta_ms'],
    target: (f) => f.device,
    human: (f) => `Engine has converted ${f.percent} % of the weights: ${formatEta(f.eta_ms)}`,
    cute: (f) => `🥣 Knead, fold, turn: ${f.percent} % of the dough is smooth!`,
  }),
  'weights.converted': lifecycleEvent({
    actor: ENGINE,
    action: 'weights_convert',
    level: 'INFO',
    when: 'the converted weights are complete',
    required: ['device', 'disk_bytes', 'duration_ms'],
    target: (f) => f.device,
    human: (f) => `Engine converted the weights in ${formatMs(f.duration_ms)} (${formatBytes(f.disk_bytes)})`,
    cute: () => '🥐 Out of the oven, golden all around!',
  }),
  'weights.saving': lifecycleEvent({
    actor: ENGINE,
    action: 'weights_share',
    level: 'INFO',
    when: 'the engine begins to save the weights in the order in which the CPU computes; all workers of the machine then map the file',
    required: ['device', 'disk_bytes', 'eta_ms'],
    target: (f) => f.device,
    human: (f) =>
      `Engine saves the weights for all workers: at most ${formatBytes(f.disk_bytes)} of disk, ${formatEta(f.eta_ms)}`,
    cute: () => '🍯 One big honey pot for the whole hive, filled just once!',
  }),
  'weights.waiting': lifecycleEvent({
    actor: ENGINE,
    action: 'weights_share',
    level: 'INFO',
    when: 'another worker saves or converts the weights; one event for each quarter of the file that is written',
    required: ['device', 'percent'],
    target: (f) => f.device,
    human: (f) => `Engine waits for weights that another worker saves: ${f.percent} % are written`,
    cute: (f) => `🐝 A sister bee fills the honey pot: ${f.percent} % so far. Patience!`,
  }),
  'weights.saved': lifecycleEvent({
    actor: ENGINE,
    action: 'weights_share',
    level: 'INFO',
    when: 'the saved weights are complete; the next event says if they are right',
    required: ['device', 'disk_bytes', 'duration_ms'],
    target: (f) => f.device,
    human: (f) =>
      `Engine saved the weights for all workers in ${formatMs(f.duration_ms)} (${formatBytes(f.disk_bytes)})`,
    cute: () => '🫙 The honey pot is full. Lid on, spoon ready!',
  }),
  'weights.queued': lifecycleEvent({
    actor: ENGINE,
    action: 'weights_share',
    level: 'INFO',
    when: 'other workers open saved weights: half as many engines as the CPU has threads open them at the same time, because each needs the memory of the largest matrix for a moment',
    required: ['device'],
    target: (f) => f.device,
    human: () => 'Engine waits for its turn: other workers open their weights',
    cute: () => '🐝 A little queue at the honey pot. After you, dear sister!',
  }),
  'weights.shared': lifecycleEvent({
    actor: ENGINE,
    action: 'weights_share',
    level: 'INFO',
    when: 'the engine maps the saved weights, and has computed the same logits with them as the engine that saved them',
    required: ['device', 'shared_bytes'],
    target: (f) => f.device,
    human: (f) => `Engine shares ${formatBytes(f.shared_bytes)} of weights with all workers of this machine`,
    cute: () => '🤝 One honey pot, many spoons. Sharing tastes sweeter!',
  }),
  'weights.unshared': lifecycleEvent({
    actor: ENGINE,
    action: 'weights_share',
    level: (f) => (f.error_kind === 'unusable' ? 'INFO' : 'WARN'),
    when: 'the engine has weights of its own, because they could not be saved or converted for all workers, or the saved ones are wrong; the level is INFO if an earlier worker has found that they cannot be saved',
    required: ['device', 'error_kind', 'reason'],
    target: (f) => f.device,
    human: (f) => `Engine has its own copy of the weights: ${f.reason}`,
    cute: () => '🥄 We brought our own little honey jar today. It tastes just the same!',
  }),
} as const;
