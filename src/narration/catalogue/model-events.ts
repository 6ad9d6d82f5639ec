/**
 * Sentences about devices and the model. Lifecycle events: they go to stdout only.
 */
import { shorten } from '../../protocol/text/error-message.ts';
import { lifecycleEvent } from '../entry.ts';
import { count, formatBytes, formatMs, formatThreads } from '../phrases.ts';

const ENGINE = 'inference-engine';
const DEVICE = { actor: 'device-manager', action: 'device_init' } as const;

export const MODEL_EVENTS = {
  'device.cpu': lifecycleEvent({
    ...DEVICE,
    level: 'INFO',
    when: 'the model is about to be opened on the CPU; the reason says why no GPU was tried',
    required: ['device', 'runtime_version'],
    optional: ['reason'],
    target: (f) => f.device,
    human: (f) => `ONNX Runtime ${f.runtime_version} sets up the CPU${f.reason === undefined ? '' : `: ${f.reason}`}`,
    cute: () => '💻 Good old CPU, always there when you need it!',
  }),
  'device.cuda': lifecycleEvent({
    ...DEVICE,
    level: 'INFO',
    when: 'an NVIDIA GPU passed its checks and the model is about to be opened on it',
    required: ['device', 'runtime_version'],
    target: (f) => f.device,
    human: (f) => `ONNX Runtime ${f.runtime_version} sets up ${f.device}`,
    cute: (f) => `⚡ ${f.device} is warm and eager to multiply!`,
  }),
  'device.metal': lifecycleEvent({
    ...DEVICE,
    level: 'INFO',
    when: 'an Apple GPU passed its checks and the model is about to be opened on it through CoreML',
    required: ['device', 'runtime_version'],
    target: (f) => f.device,
    human: (f) => `ONNX Runtime ${f.runtime_version} sets up ${f.device}`,
    cute: (f) => `🍎 ${f.device} is polished and ready to shine!`,
  }),
  'device.webgpu': lifecycleEvent({
    ...DEVICE,
    level: 'INFO',
    when: 'a GPU passed its checks and the model is about to be opened on it through WebGPU',
    required: ['device', 'runtime_version'],
    target: (f) => f.device,
    human: (f) => `ONNX Runtime ${f.runtime_version} sets up ${f.device}`,
    cute: (f) => `🌐 ${f.device} paints with numbers today!`,
  }),
  'device.fallback': lifecycleEvent({
    actor: 'device-manager',
    action: 'device_fallback',
    level: (f) => (f.hardware === 'present' ? 'WARN' : 'INFO'),
    when: 'a device of --device auto cannot be used and the next one is tried; the level is WARN if the hardware is present, because an operator can then fix the reason',
    required: ['device', 'from_device', 'reason', 'hardware'],
    target: (f) => f.device,
    human: (f) => `Device manager falls back from ${f.from_device} to ${f.device}: ${f.reason}`,
    cute: (f) => `🪂 Plan B: landing softly on ${f.device}!`,
  }),
  'memory.expected': lifecycleEvent({
    actor: ENGINE,
    action: 'memory_plan',
    level: 'INFO',
    when: 'the planned memory of the model fits and the model is about to be loaded',
    required: [
      'device',
      'needed_bytes',
      'model_bytes',
      'cache_bytes',
      'logits_bytes',
      'work_bytes',
      'slots',
      'context_length',
    ],
    optional: ['shared_bytes', 'own_bytes', 'available_bytes', 'reserved_bytes', 'other_workers'],
    target: (f) => f.device,
    human: (f) => {
      const needed = `Engine needs about ${formatBytes(f.needed_bytes)} on ${f.device}`;
      const free = f.available_bytes === undefined ? '' : `; ${formatBytes(f.available_bytes)} free`;
      if (f.reserved_bytes === undefined || f.other_workers === undefined)
        return `${needed}: weights ${formatBytes(f.model_bytes)}, cache ${formatBytes(f.cache_bytes)}${free}`;
      return `${needed}${free}; ${count(f.other_workers, 'other worker')} reserved ${formatBytes(f.reserved_bytes)}`;
    },
    cute: () => '🧮 Measuring the nest before moving in: it fits!',
  }),
  'model.load_started': lifecycleEvent({
    actor: 'model-loader',
    action: 'model_load',
    level: 'INFO',
    when: 'the engine starts to open the model; the reason says why it uses these weights of the folder',
    required: ['model_ref', 'model_bytes', 'dtype', 'dtypes', 'device', 'reason'],
    target: (f) => f.model_ref,
    human: (f) =>
      `Model loader opens ${shorten(f.model_ref, 24)} (${formatBytes(f.model_bytes)}, ${f.dtype}: ${f.reason})`,
    cute: (f) => `📦 Carrying ${shorten(f.model_ref, 60)} out of its box, very gently…`,
  }),
  'model.load_progress': lifecycleEvent({
    actor: 'model-loader',
    action: 'model_load',
    level: 'INFO',
    when: 'the engine has read 0, 25, 50, 75 or 100 % of the weights',
    required: ['model_ref', 'percent', 'bytes_read', 'model_bytes'],
    target: (f) => f.model_ref,
    human: (f) => `Model loader has read ${f.percent} % of ${formatBytes(f.model_bytes)}`,
    cute: (f) =>
      f.percent === 100 ? '🍯 Every last drop is in!' : `🐜 Carrying it in, crumb by crumb: ${f.percent} %`,
  }),
  'model.loaded': lifecycleEvent({
    actor: 'model-loader',
    action: 'model_load',
    level: 'INFO',
    when: 'the model is open',
    required: ['model_ref', 'architecture', 'model_bytes', 'vocab_size', 'dtype', 'context_length', 'duration_ms'],
    optional: ['exact_weights', 'rounded_weights', 'float_weights', 'weights_difference_percent'],
    target: (f) => f.architecture,
    human: (f) =>
      `Model loader loaded ${formatBytes(f.model_bytes)} of ${f.dtype} weights and ${f.vocab_size} vocabulary entries in ${formatMs(f.duration_ms)}`,
    cute: (f) => `🛏️ ${shorten(f.model_ref, 60)} is tucked in and dreaming of ${f.vocab_size} little tokens!`,
  }),
  'model.problem': lifecycleEvent({
    actor: 'model-loader',
    action: 'error',
    level: 'ERROR',
    when: 'a file of the model is missing, broken or wrong; one event for each problem, then model.load_failed',
    required: ['model_ref', 'file', 'reason'],
    target: (f) => f.file,
    human: (f) => `Model file ${shorten(f.file, 40)} ${f.reason}`,
    cute: (f) => `🔍 ${shorten(f.file, 60)} needs a little help before we can play!`,
  }),
  'model.load_failed': lifecycleEvent({
    actor: 'model-loader',
    action: 'error',
    level: 'FATAL',
    when: 'the model cannot be opened; the worker exits with code 1',
    required: ['model_ref', 'error_kind', 'reason'],
    target: (f) => f.model_ref,
    human: (f) => `Model loader cannot open ${shorten(f.model_ref, 24)}: ${f.reason}`,
    cute: (f) => `🧩 ${shorten(f.model_ref, 60)} is missing a piece. We will find it together!`,
  }),
  'cache.reserved': lifecycleEvent({
    actor: ENGINE,
    action: 'cache_reserve',
    level: 'INFO',
    when: 'the cache is ready: its memory is taken as it is used, up to cache_bytes for all slots together; a device with all rows in one tensor (CUDA, or WebGPU with --gpu-graph) allocates it at once',
    required: ['slots', 'chosen_by', 'context_length', 'cache_bytes', 'cache_update'],
    optional: ['available_bytes'],
    target: (f) => count(f.slots, 'slot'),
    human: (f) => {
      const chosenBy = f.chosen_by === 'asked' ? 'set by --slots' : 'auto';
      const free = f.available_bytes === undefined ? '' : `, ${formatBytes(f.available_bytes)} free`;
      const cache = f.cache_update === 'in_place' ? 'in-place' : 'growing';
      return `Engine uses up to ${formatBytes(f.cache_bytes)}: ${count(f.slots, 'slot')} of ${f.context_length} tokens (${cache} cache, ${chosenBy}${free})`;
    },
    cute: (f) => `🛋️ ${count(f.slots, 'comfy seat')}, cushions plumped!`,
  }),
  'cache.limited': lifecycleEvent({
    actor: ENGINE,
    action: 'cache_reserve',
    level: 'WARN',
    when: 'the memory of the cache holds fewer tokens in one slot than the context (limited_by memory: raise --cache-memory), or the system limits the address space of the cache (limited_by address_space: ulimit -v, vm.overcommit_memory=2)',
    required: [
      'device',
      'limited_by',
      'context_length',
      'requested_context',
      'cache_rows',
      'requested_rows',
      'cache_bytes',
    ],
    target: (f) => f.device,
    human: (f) => {
      const tokens = `${f.context_length} of ${f.requested_context} tokens`;
      if (f.limited_by === 'memory')
        return `Raise --cache-memory: ${formatBytes(f.cache_bytes)} of cache hold ${tokens} in one slot`;
      const shorter = f.context_length < f.requested_context ? `, with ${tokens}` : '';
      return `Limited address space: the cache has ${f.cache_rows} of ${f.requested_rows} rows${shorter}`;
    },
    cute: (f) => `📏 A slightly smaller pillow: ${f.context_length} tokens still fit cosily!`,
  }),
  'warmup.done': lifecycleEvent({
    actor: ENGINE,
    action: 'warmup',
    level: 'INFO',
    when: 'the warm-up runs are done, and on a GPU a comparison with the CPU if it takes less than a second; --speculation auto turns speculation on unless runs of several tokens round differently, as they do with quantized weights',
    required: ['duration_ms', 'slots', 'context_length', 'vram_bytes', 'threads', 'threads_reason', 'speculation'],
    optional: [
      'memory_bytes',
      'cpu_quota',
      'rounding_percent',
      'trusted_tokens',
      'gpu_graph',
      'cpu_difference_percent',
      'cpu_check_ms',
      'instance_id',
    ],
    target: (f) => count(f.slots, 'slot'),
    human: (f) => {
      const begin = `Engine warmed up in ${formatMs(f.duration_ms)}, `;
      const speculation = `; speculation ${f.speculation}`;
      if (f.trusted_tokens !== undefined)
        return `${begin}${count(f.threads, 'thread')}${speculation}; runs of at most ${count(f.trusted_tokens, 'token')}`;
      const warm = `${begin}${formatThreads(f.threads, f.threads_reason, f.cpu_quota)}${speculation}`;
      return f.rounding_percent === undefined
        ? warm
        : `${warm}: longer runs differ by ${Number(f.rounding_percent.toPrecision(2))} %`;
    },
    cute: () => '🔥 The engine is warm, mittens off!',
  }),
} as const;
