/**
 * Sentences about devices, the model and the engine process. Lifecycle events: stdout only.
 */
import { lifecycleEvent } from '../entry.ts';
import { count, size, time } from '../phrases.ts';

const ENGINE = 'inference-engine';
const DEVICE = { actor: 'device-manager', action: 'device_init' } as const;

export const MODEL_EVENTS = {
  'device.cpu': lifecycleEvent({
    ...DEVICE,
    level: 'INFO',
    when: 'the model is opened on the CPU next; a reason is told where a GPU was passed by',
    required: ['device', 'runtime_version'],
    optional: ['reason'],
    target: (f) => f.device,
    human: (f) => `ONNX Runtime ${f.runtime_version} sets up the CPU${f.reason === undefined ? '' : `: ${f.reason}`}`,
    cute: () => '💻 Good old CPU, always there when you need it!',
  }),
  'device.cuda': lifecycleEvent({
    ...DEVICE,
    level: 'INFO',
    when: 'nothing is seen to stand in the way of an NVIDIA GPU, and the model is opened on it next',
    required: ['device', 'runtime_version'],
    target: (f) => f.device,
    human: (f) => `ONNX Runtime ${f.runtime_version} sets up ${f.device}`,
    cute: (f) => `⚡ ${f.device} is warm and eager to multiply!`,
  }),
  'device.metal': lifecycleEvent({
    ...DEVICE,
    level: 'INFO',
    when: 'nothing is seen to stand in the way of an Apple GPU, and the model is opened on it through CoreML next',
    required: ['device', 'runtime_version'],
    target: (f) => f.device,
    human: (f) => `ONNX Runtime ${f.runtime_version} sets up ${f.device}`,
    cute: (f) => `🍎 ${f.device} polishes its metal!`,
  }),
  'device.webgpu': lifecycleEvent({
    ...DEVICE,
    level: 'INFO',
    when: 'nothing is seen to stand in the way of a GPU, and the model is opened on it through WebGPU next',
    required: ['device', 'runtime_version'],
    target: (f) => f.device,
    human: (f) => `ONNX Runtime ${f.runtime_version} sets up ${f.device}`,
    cute: (f) => `🌐 ${f.device} paints with numbers today!`,
  }),
  'device.fallback': lifecycleEvent({
    actor: 'device-manager',
    action: 'device_fallback',
    level: (f) => (f.hardware === 'present' ? 'WARN' : 'INFO'),
    when: 'a device of --device auto cannot be used and the next one is tried; WARN where such hardware is there, so that something can be done about the reason',
    required: ['device', 'from_device', 'reason', 'hardware'],
    target: (f) => f.device,
    human: (f) =>
      `Device manager goes on from ${f.from_device} to ${f.device}: ${f.reason.replace(`${f.from_device} cannot be used: `, '')}`,
    cute: (f) => `🪂 Plan B: landing softly on ${f.device}!`,
  }),
  'memory.expected': lifecycleEvent({
    actor: ENGINE,
    action: 'memory_plan',
    level: 'INFO',
    when: 'what the model will need is known and fits, before it is loaded',
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
    optional: ['available_bytes'],
    target: (f) => f.device,
    human: (f) =>
      `Engine expects ${size(f.needed_bytes)} on ${f.device}: weights ${size(f.model_bytes)}, cache ${size(f.cache_bytes)}${f.available_bytes === undefined ? '' : `; ${size(f.available_bytes)} free`}`,
    cute: () => '🧮 Measuring the nest before moving in: it fits!',
  }),
  'model.load_started': lifecycleEvent({
    actor: 'model-loader',
    action: 'model_load',
    level: 'INFO',
    when: 'the engine begins to open the model; the reason says why these weights of those that the folder has',
    required: ['model_ref', 'model_bytes', 'dtype', 'dtypes', 'device', 'reason'],
    target: (f) => f.model_ref,
    human: (f) => `Model loader opens ${f.model_ref} (${size(f.model_bytes)}, ${f.dtype}: ${f.reason})`,
    cute: (f) => `📦 Carrying ${f.model_ref} out of its box, very gently…`,
  }),
  'model.load_progress': lifecycleEvent({
    actor: 'model-loader',
    action: 'model_load',
    level: 'INFO',
    when: 'so much of the weights has been read: none, each quarter, all',
    required: ['model_ref', 'percent', 'bytes_read', 'model_bytes'],
    target: (f) => f.model_ref,
    human: (f) => `Model loader has read ${f.percent} % of ${size(f.model_bytes)}`,
    cute: (f) =>
      f.percent === 100 ? '🍯 Every last drop is in!' : `🐜 Carrying it in, crumb by crumb: ${f.percent} %`,
  }),
  'model.loaded': lifecycleEvent({
    actor: 'model-loader',
    action: 'model_load',
    level: 'INFO',
    when: 'the model is open',
    required: ['model_ref', 'architecture', 'model_bytes', 'vocab_size', 'dtype', 'context_length', 'duration_ms'],
    target: (f) => f.architecture,
    human: (f) =>
      `Model loader loaded ${size(f.model_bytes)} of ${f.dtype} weights, vocabulary ${f.vocab_size}, in ${time(f.duration_ms)}`,
    cute: (f) => `🛏️ ${f.model_ref} is tucked in and dreaming of ${f.vocab_size} little tokens!`,
  }),
  'model.problem': lifecycleEvent({
    actor: 'model-loader',
    action: 'error',
    level: 'ERROR',
    when: 'a file of the model is missing or broken, or says something wrong; one for each problem, then model.load_failed',
    required: ['model_ref', 'file', 'reason'],
    target: (f) => f.file,
    human: (f) => `Model file ${f.file} ${f.reason}`,
    cute: (f) => `🔍 ${f.file} needs a little help before we can play!`,
  }),
  'model.load_failed': lifecycleEvent({
    actor: 'model-loader',
    action: 'error',
    level: 'FATAL',
    when: 'the model cannot be opened; the worker exits 1',
    required: ['model_ref', 'error_kind', 'reason'],
    target: (f) => f.model_ref,
    human: (f) => `Model loader cannot open ${f.model_ref}: ${f.reason}`,
    cute: (f) => `🧩 ${f.model_ref} has a piece missing. We will find it together!`,
  }),
  'cache.reserved': lifecycleEvent({
    actor: ENGINE,
    action: 'cache_reserve',
    level: 'INFO',
    when: 'the memory of the slots is reserved (a cache that grows takes it as it needs it); --slots auto takes what a quarter of the free memory holds, 16 at most, or 4 where nobody tells what is free',
    required: ['slots', 'chosen_by', 'context_length', 'cache_bytes', 'cache_update'],
    optional: ['available_bytes'],
    target: (f) => count(f.slots, 'slot'),
    human: (f) =>
      `Engine reserves ${count(f.slots, 'slot')} of ${f.context_length} tokens in ${size(f.cache_bytes)}, ${f.cache_update === 'in_place' ? 'in place' : 'growing'}${f.chosen_by === 'asked' ? ', as asked' : `; auto: ${f.available_bytes === undefined ? 'free memory unknown' : `¼ of ${size(f.available_bytes)} free`}`}`,
    cute: (f) => `🛋️ ${count(f.slots, 'comfy seat')}, cushions plumped!`,
  }),
  'warmup.done': lifecycleEvent({
    actor: ENGINE,
    action: 'warmup',
    level: 'INFO',
    when: 'the first runs are over; --speculation auto drafts unless runs of several tokens round differently, as those of quantized weights do',
    required: ['duration_ms', 'slots', 'context_length', 'memory_bytes', 'vram_bytes', 'speculation'],
    optional: ['rounding_percent', 'trusted_tokens'],
    target: (f) => count(f.slots, 'slot'),
    human: (f) => {
      const warm = `Engine warmed up in ${time(f.duration_ms)}; speculation ${f.speculation}`;
      if (f.trusted_tokens !== undefined) return `${warm}; runs over ${f.trusted_tokens} tokens are wrong here`;
      return f.rounding_percent === undefined
        ? warm
        : `${warm}: runs of several tokens round differently, by ${Number(f.rounding_percent.toPrecision(2))} %`;
    },
    cute: () => '🔥 Engine warm, mittens off!',
  }),
  'engine.lost': lifecycleEvent({
    actor: ENGINE,
    action: 'error',
    level: 'ERROR',
    when: 'the engine process ended by itself, or said nothing for --step-timeout and was killed',
    required: ['error_kind', 'reason', 'requests_running'],
    optional: ['requests_waiting', 'exit_code', 'signal', 'stderr_tail'],
    target: () => 'engine',
    human: (f) =>
      `Engine process was lost (${f.reason}) with ${count(f.requests_running, 'request')} in flight${f.requests_waiting ? `; ${f.requests_waiting} will wait` : ''}`,
    cute: () => '💔 The engine fainted. Smelling salts are on their way!',
  }),
  'engine.restarted': lifecycleEvent({
    actor: ENGINE,
    action: 'engine_restart',
    level: 'INFO',
    when: 'a new engine process has the model open',
    required: ['duration_ms', 'restarts'],
    target: () => 'engine',
    human: (f) => `Engine process is back after ${time(f.duration_ms)}, restart ${f.restarts} in ten minutes`,
    cute: () => '💪 The engine is on its feet again!',
  }),
  'engine.warning': lifecycleEvent({
    actor: ENGINE,
    action: 'warning',
    level: 'WARN',
    when: 'the runtime wrote a line to the standard error of the engine process',
    required: ['reason'],
    target: () => 'engine',
    human: (f) => `Runtime says: ${f.reason}`,
    cute: () => '🔧 The engine mumbles something about bolts.',
  }),
} as const;
