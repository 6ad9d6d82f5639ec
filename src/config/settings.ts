/**
 * The table of all settings: schema, default and help text. Flags, environment variables, `--help` and
 * .env.example come from it.
 */
import { z } from 'zod';
import './zod.ts';
import { DEVICE_FLAG, DEVICE_FLAG_HELP } from '../protocol/devices.ts';
import { ADDRESS_SETTINGS } from './network/address-settings.ts';
import { choice, seconds, setting, whole, wholeNumber } from './setting-rows.ts';

/** Maximum number of threads in `--threads`. */
export const MAX_THREADS = 1024;
/** Maximum of `--cache-memory`: 16 TiB. */
const MAX_CACHE_MIB = 2 ** 24;
const WIDE_DTYPES = ['auto', 'fp32', 'fp16', 'bf16'] as const;
export const DTYPES = [...WIDE_DTYPES, 'q8', 'q4', 'q4f16', 'int8', 'uint8', 'quantized', 'bnb4'] as const;
const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;

/** All settings, in the order of the help text. */
export const SETTINGS = {
  'worker-id': setting({
    schema: z.string().regex(/^[A-Za-z0-9._-]{1,128}$/),
    meaning: 'name of this worker, given by the pool-manager',
    allowed: '1 to 128 of A-Z a-z 0-9 . _ -',
    shown: 'a new UUID',
  }),
  model: setting({
    schema: z.string().min(1),
    meaning: 'folder or GGUF file of the model, or its name on the hub',
    allowed: 'a folder, a .gguf file, or org/name[/folder][/file.gguf][:Q4_K_M][@revision] of a pulled model',
    shown: 'the embedded haiku model',
  }),
  dtype: choice(
    DTYPES,
    'auto',
    'data type of the weights; auto takes the best one for the device; q8 and q4 quantize a checkpoint of floats',
  ),
  device: setting({
    schema: z.string().regex(DEVICE_FLAG),
    meaning: 'device for the model; auto takes the best device that works, and the CPU for a model under 32 MB',
    allowed: DEVICE_FLAG_HELP,
    fallback: 'auto',
  }),
  'runtime-library': setting({
    schema: z.string().min(1),
    meaning: 'path of another libonnxruntime with the same C API',
    allowed: 'a file',
    shown: 'the library of onnxruntime-node',
    fromFolder: [], // A library is code.
  }),
  ...ADDRESS_SETTINGS,
  slots: setting({
    schema: z.union([z.literal('auto'), wholeNumber(1, 256)]),
    meaning:
      'number of requests that run at the same time, decoded together if model and device allow it; auto takes 16, and on CUDA and on the CPU of Windows as many as fit into a quarter of the free memory, at most 16',
    allowed: 'auto, or 1 to 256',
    fallback: 'auto',
  }),
  context: whole({
    meaning: 'tokens per slot, prompt and output together',
    least: 16,
    most: 1_048_576,
    shown: 'the context length of the model',
  }),
  'cache-memory': setting({
    schema: z.union([z.literal('auto'), wholeNumber(1, MAX_CACHE_MIB)]),
    meaning:
      'memory for the keys and values of all requests together, taken as they need it; auto takes half of the memory that is free besides the model, at most two full contexts per slot',
    allowed: `auto, or 1 to ${MAX_CACHE_MIB} MiB`,
    fallback: 'auto',
  }),
  'weights-cache': setting({
    schema: z.string().min(1),
    meaning:
      'folder in which the first worker saves the weights of a float model for the CPU, so that all workers of the machine map one copy; off: each worker has a copy of its own',
    allowed: 'a folder, or off',
    shown: 'rbees-workerd/weights beside the folder of HF_HUB_CACHE',
    fromFolder: ['off'],
  }),
  'prefill-chunk': setting({
    schema: z.union([z.literal('auto'), wholeNumber(2, 4096)]),
    meaning:
      'maximum number of prompt tokens per run; other requests and cancels wait until the run ends; auto aims at a quarter of a second',
    allowed: 'auto, or 2 to 4096',
    fallback: 'auto',
  }),
  threads: setting({
    schema: z.union([z.literal('auto'), wholeNumber(1, MAX_THREADS)]),
    meaning:
      'threads that compute on the CPU; auto takes one for each core that the process may use, fewer for a CPU quota, and one for a model under 32 MB',
    allowed: `auto, or 1 to ${MAX_THREADS}`,
    fallback: 'auto',
  }),
  speculation: choice(
    ['auto', 'on', 'off'],
    'auto',
    'draft tokens from earlier text for a request that runs alone; auto drafts only if drafts cannot change the output',
  ),
  'gpu-graph': choice(
    ['off', 'eager', 'captured'],
    'off',
    'decoding on a GPU: eager computes all rows in one tensor and selects the best tokens on the GPU, captured also records the steps once and replays them; no GPU has run eager and captured yet',
  ),
  queue: whole({
    meaning: 'maximum number of queued requests; further ones get 503',
    least: 0,
    most: 100_000,
    fallback: 64,
  }),
  'ready-when-full': setting({
    schema: z.stringbool(),
    meaning: 'answer /ready with 200 while all slots are busy and the queue is full; false answers 503',
    allowed: 'true or false',
    fallback: 'true',
  }),
  'max-prompt-chars': setting({
    schema: z.union([z.literal('auto'), wholeNumber(1, 10_000_000)]),
    meaning:
      'maximum length of a prompt in characters; auto takes 16 for each token of the context, from 32768 to 2097152',
    allowed: 'auto, or 1 to 10000000',
    fallback: 'auto',
  }),
  'max-tokens-cap': setting({
    schema: z.union([z.literal('auto'), wholeNumber(1, 1_048_576)]),
    meaning: 'maximum value of max_tokens in a request, and its default; auto takes what the context leaves',
    allowed: 'auto, or 1 to 1048576',
    fallback: 'auto',
  }),
  'progress-every': whole({
    meaning: 'number of tokens between two progress narrations',
    least: 1,
    most: 100_000,
    fallback: 10,
  }),
  'request-timeout': seconds(
    300,
    'stop a request this many seconds after it was accepted; a request can set its own timeout_ms',
  ),
  'step-timeout': seconds(
    60,
    'restart the engine after this many seconds without a message; must exceed the longest step; loading does not count',
  ),
  'stall-after': seconds(
    5,
    'refuse new requests while the engine has sent no message for this many seconds, or for ten of its longest steps if that is more; has no effect from --step-timeout on',
  ),
  'on-engine-loss': choice(
    ['resume', 'fail'],
    'resume',
    'running requests when the engine process is lost: resume continues them in the next one, fail ends them with ENGINE_LOST',
  ),
  'detach-timeout': seconds(
    30,
    'stop a job with on_disconnect "continue" after this many seconds without a subscriber',
  ),
  'slow-timeout': seconds(30, 'disconnect a stalled client after this many seconds'),
  'sse-keepalive': choice(
    ['chunk', 'comment', 'off'],
    'chunk',
    'keep-alive of a quiet stream of /v1: an empty chunk of its dialect, a comment, or none',
  ),
  'sse-heartbeat': whole({
    meaning: 'send a comment on a stream after this many seconds without an event, so that no proxy closes it',
    least: 1,
    most: 300,
    unit: 'seconds',
    fallback: 15,
  }),
  'replay-ttl': seconds(60, 'keep the events of a finished job for this many seconds'),
  'replay-memory': whole({
    meaning: 'memory for the events of all jobs; the oldest finished jobs are dropped first',
    least: 1,
    most: 65_536,
    unit: 'MiB',
    fallback: 64,
  }),
  'shutdown-timeout': seconds(
    30,
    'end at most this many seconds after a request to stop; running requests get all but the last 4 of them, and at least half',
  ),
  // A higher level would hide the lines that report the file.
  'log-level': choice(
    LOG_LEVELS,
    'info',
    'lowest level of the log lines on stdout; server.bound is printed at every level',
    ['trace', 'debug', 'info'],
  ),
  'log-format': choice(['json', 'pretty'], 'json', 'format of the log lines on stdout'),
  narration: choice(
    ['full', 'human', 'off'],
    'full',
    'narration in streams: full sends the texts human, cute and story, human sends only human, off sends no narration; the log always has all texts',
  ),
  'metrics-aliases': choice(
    ['vllm', 'none'],
    'vllm',
    'names in /metrics besides those of the worker: vllm adds the names of vLLM, which dashboards and routers read',
  ),
  page: choice(
    ['auto', 'on', 'off'],
    'auto',
    'web page at /, which needs no token and asks for it; auto serves it on a loopback host',
    ['auto', 'off'],
  ),
  'event-ids': choice(
    ['run', 'number'],
    'run',
    'ids of the events in streams: run sends <run>-<n>; number sends n alone, for clients of version 1 that calculate with ids',
  ),
} as const;

export type SettingName = keyof typeof SETTINGS;

/** The environment variable of a setting: `max-tokens-cap` → `RBEES_MAX_TOKENS_CAP`. */
export const environmentName = (name: string): string => `RBEES_${name.replaceAll('-', '_').toUpperCase()}`;
