/**
 * The vocabulary of typed fields: the only facts a narration can carry besides its sentences.
 * Types, docs/narration.md and the OpenAPI schema are all derived from this table.
 */

interface FieldRow<T extends 'integer' | 'number' | 'string'> {
  readonly type: T;
  /** What the number counts, with its unit. */
  readonly meaning: string;
  /** Shown in the documentation. */
  readonly example: T extends 'string' ? string : number;
  /** Most characters of a text that may be longer than all others. */
  readonly limit?: number;
}

const integer = (meaning: string, example: number): FieldRow<'integer'> => ({ type: 'integer', meaning, example });
const number = (meaning: string, example: number): FieldRow<'number'> => ({ type: 'number', meaning, example });
const text = (meaning: string, example: string): FieldRow<'string'> => ({ type: 'string', meaning, example });
const longText = (meaning: string, example: string, limit: number): FieldRow<'string'> => ({
  ...text(meaning, example),
  limit,
});

export const FIELDS = {
  tokens_in: integer('Tokens of the prompt', 17),
  tokens_out: integer('Tokens generated so far', 29),
  tokens_done: integer('Prompt tokens that are in the cache', 256),
  eta_ms: number('Milliseconds that are expected to remain', 120),
  tokens_total: integer('Tokens to compute in all', 448),
  max_tokens: integer('Most tokens that are generated', 64),
  temperature: number('Randomness of the draw; 0 is greedy', 0.8),
  seed: integer('Seed of the draw; the same seed draws the same tokens', 42),
  tokens_discarded: integer('Tokens that were generated and thrown away', 12),
  tokens_per_sec: number('Tokens generated per second', 812.5),
  tokens_drafted: integer('Tokens that were drafted; absent when none were', 20),
  tokens_accepted: integer('Drafted tokens that were what decoding gave', 12),
  cached_tokens: integer('Prompt tokens that were still in the cache and kept', 9),
  diverged_at: integer(
    'Place in the prompt, from 0, where it differs from what the slot held; absent where it does not',
    9,
  ),
  batch_size: integer('Sequences computed in the same step', 3),
  queue_position: integer('Place in the queue; 1 is next', 2),
  queue_ms: number('Milliseconds spent waiting for a slot', 0.4),
  prefill_ms: number('Milliseconds spent reading the prompt', 3.1),
  decode_time_ms: number('Milliseconds from the first token to the last', 35.7),
  duration_ms: number('Milliseconds this step took', 41.2),
  timeout_ms: integer('Milliseconds that were allowed', 300000),
  retry_after_ms: integer('Milliseconds to wait before trying again', 1000),
  slot: integer('Row of the cache', 0),
  slots: integer('Rows of the cache', 4),
  chosen_by: text('Who chose the number of slots: auto, or asked', 'auto'),
  cache_bytes: integer('Bytes of all rows of the cache', 4194304),
  cache_update: text(
    'How attention keeps its cache: in_place, or growing, where each run makes a longer one and a sequence runs by itself',
    'in_place',
  ),
  logits_bytes: integer('Bytes of the logits of one run', 81920),
  work_bytes: integer('Bytes the runtime takes beside weights, cache and logits, by experience', 67108864),
  needed_bytes: integer('Bytes of weights, cache, logits and work space together', 72285908),
  bytes_read: integer('Bytes of the weights that have been read', 1761130),
  percent: integer('Percent of all', 50),
  available_bytes: integer(
    'Bytes that were free before the load; absent where the system does not tell, and in cache.reserved when slots were asked for',
    22100000000,
  ),
  speculation: text('Whether tokens are drafted for a request that runs alone: on or off', 'on'),
  trusted_tokens: integer(
    'Most tokens that the device was seen to compute right in one run; told where it limits the runs of a prompt',
    16,
  ),
  rounding_percent: number(
    'Percent that logits are apart by which a token is computed alone or behind others; told when it keeps drafts off',
    1.2,
  ),
  requests_running: integer('Requests in flight', 2),
  requests_waiting: integer('Requests that wait for the next engine', 1),
  model_ref: text('Name of the model', 'haiku'),
  model_bytes: integer('Bytes of the weights', 3522260),
  memory_bytes: integer('Bytes of memory held by worker and engine', 187000000),
  vram_bytes: integer('Bytes held on the device; 0 on CPU', 0),
  architecture: text('Architecture of the model', 'LlamaForCausalLM'),
  vocab_size: integer('Ids in the vocabulary', 1024),
  context_length: integer('Tokens per slot, prompt and output together', 512),
  dtype: text('Type of the weights', 'fp32'),
  file: text('File of the model, as a path from its folder', 'onnx/model.onnx'),
  dtypes: text("Types of weights that the model's folder has, separated by commas", 'q4, fp32'),
  device: text('Device the model runs on', 'cpu'),
  from_device: text('Device that cannot be used', 'cuda-0'),
  hardware: text('Whether hardware for the device was seen: present or absent', 'present'),
  runtime_version: text('Version of ONNX Runtime', '1.30.0'),
  version: text('Version of the worker', '0.1.0'),
  node_version: text('Version of Node.js', '20.20.2'),
  pid: integer('Process id', 4242),
  url: text('URL without its password', 'http://127.0.0.1:9000/ready'),
  address: text('Host and port', '127.0.0.1:8080'),
  http_status: integer('HTTP status of an answer', 202),
  attempt: integer('Which attempt this is; 1 is the first', 1),
  attempts: integer('Attempts that are made at most', 5),
  reason: text('Why, in a word or a sentence', 'sigterm'),
  error_kind: text('Stable name of what went wrong', 'validation_failed'),
  field_errors: integer('Rules that the request breaks', 2),
  fields: text('Names of fields, separated by commas', 'max_token'),
  stop_reason: text('max_tokens, eos or stop_sequence', 'eos'),
  // Twice what is kept of it: what replaces a secret can be longer than the secret, and the end matters most.
  stderr_tail: longText('Last 8 KiB of what the engine said on its standard error', 'Segmentation fault', 16_384),
  exit_code: integer('Exit code of a process', 1),
  signal: text('Signal that ended a process', 'SIGKILL'),
  restarts: integer('Engine restarts in the last ten minutes', 1),
  shed: integer('Narrations and metrics not sent to a reader that is too slow', 14),
  unread_bytes: integer('Bytes that the reader nearest to the end has not taken', 131072),
  events_replayed: integer('Events that a reader is given at once because it missed them', 12),
  readers: integer('Readers of the stream', 2),
  connections: integer('Connections that were closed because there were too many', 3),
  connections_limit: integer('Most connections at the same time', 1024),
  token_fingerprint: text('First 8 hex digits of the SHA-256 of the API token; absent without one', '5e884898'),
  lines_lost: integer('Log lines dropped because nobody read standard output', 3),
} as const;

export type FieldName = keyof typeof FIELDS;

/** Field name → type of its value. */
export type FieldValues = {
  readonly [F in FieldName]: (typeof FIELDS)[F]['type'] extends 'string' ? string : number;
};
