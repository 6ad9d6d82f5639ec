/**
 * The typed fields: the only facts that a narration carries besides its sentences.
 * Their types, docs/narration.md and the OpenAPI schema are derived from this table.
 */

interface FieldRow<T extends 'integer' | 'number' | 'string'> {
  readonly type: T;
  /** Meaning of the value, with its unit. */
  readonly meaning: string;
  /** For the documentation. */
  readonly example: T extends 'string' ? string : number;
  /** Maximum length in characters, if it differs from the general limit. */
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
  tokens_kept: integer('Tokens of the answer that an earlier stream has delivered, and that are kept', 120),
  tokens_done: integer('Prompt tokens computed so far', 256),
  eta_ms: number('Estimated milliseconds that remain', 120),
  tokens_total: integer('Prompt tokens to compute in total', 448),
  max_tokens: integer('Maximum number of tokens to generate', 64),
  max_tokens_asked: integer('The value of max_tokens in the request', 32000),
  calls_unparsed: integer('Texts of the output that look like tool calls and cannot be parsed', 1),
  tool_format: text(
    'Style of the tool calls: json, named, tagged, pythonic, gemma, harmony; generic for a template without tools',
    'json',
  ),
  parallel_calls: text('yes if an answer can have several tool calls, otherwise no', 'yes'),
  reasoning: text('none, optional, or forced: the prompt begins the reasoning', 'optional'),
  reasoning_open: text('Text that begins a reasoning; absent without reasoning', '<think>'),
  temperature: number('Sampling temperature; 0 is greedy', 0.8),
  seed: integer('Seed of the sampler; the same seed gives the same tokens', 42),
  tokens_discarded: integer('Tokens generated before the cancel, and discarded', 12),
  tokens_per_sec: number('Tokens generated per second', 812.5),
  tokens_drafted: integer('Drafted tokens; absent if there were none', 20),
  tokens_accepted: integer('Drafted tokens that were accepted because decoding gave the same tokens', 12),
  tokens_forced: integer('Tokens for which the grammar left no choice; absent without a grammar', 12),
  grammar_states: integer('Nodes of the grammar of the output, and states of its automata', 48),
  cached_grammar: text('yes if the grammar was compiled for an earlier request, otherwise no', 'no'),
  without_effect: longText(
    'Places of keywords of the schema that do not restrict the output, separated by commas; absent if there are none',
    'properties.mail.format',
    1024,
  ),
  cached_tokens: integer('Prompt tokens reused from the cache', 9),
  copied_from: text(
    'Where cached tokens were copied from: running (the slot of a running request) or idle (a stored prefix); absent if the slot had them',
    'running',
  ),
  saved_ms: number('Estimated milliseconds of computation that cached tokens save', 850),
  prefixes_evicted: integer('Stored prefixes that were dropped from the cache', 1),
  tokens_evicted: integer('Tokens of these prefixes', 812),
  diverged_at: integer(
    'Index (from 0) of the first prompt token that differs from the tokens of the slot; absent if none differs',
    9,
  ),
  tokens_per_sec_before: number('Tokens per second before the change; absent if there were too few tokens', 1204.5),
  tokens_per_sec_best: number('Best speed of the last minutes without drafts, for the outputs that decode now', 1933.2),
  window_ms: number('Milliseconds before this event in which tokens_per_sec was measured', 2104),
  other_sequences: integer('Sequences of other requests that decode in the same steps', 2),
  other_sequences_before: integer('Sequences of other requests before the change', 1),
  cause: text('Measured cause of the slow phase: neighbours, long_prompt, machine, reader or unknown', 'neighbours'),
  cause_percent: number(
    'Part of the slow-down that the cause explains, in percent; absent if the cause is unknown',
    91.5,
  ),
  prompt_tokens_beside: integer('Prompt tokens of other requests computed meanwhile; absent if there were none', 2048),
  paused_ms: number('Milliseconds of window_ms in which all subscribers lagged and the generation paused', 1870),
  cpu_pressure_percent: number(
    'Share of the time in which a task of the machine waited for a processor (Linux PSI); absent if not measured',
    83.1,
  ),
  batch_size: integer('Sequences computed in the same step', 3),
  queue_position: integer('Position in the queue; 1 is next', 2),
  queue_ms: number('Milliseconds spent waiting for a slot', 0.4),
  prefill_ms: number('Milliseconds spent computing the prompt', 3.1),
  decode_time_ms: number('Milliseconds from the first token to the last', 35.7),
  duration_ms: number('Duration in milliseconds', 41.2),
  silence_ms: number('Milliseconds without a message of the engine', 5003),
  timeout_ms: integer('Time limit in milliseconds', 300000),
  retry_after_ms: integer('Milliseconds until the next attempt', 1000),
  slot: integer('Index of the slot, a row of the cache', 0),
  slots: integer('Number of slots', 4),
  chosen_by: text('Origin of the number of slots: auto, or asked (set by --slots)', 'auto'),
  cache_bytes: integer('Memory of the cache in bytes, all slots together', 4194304),
  cache_rows: integer('Rows of the cache: one for each slot, and others that only store prefixes', 64),
  requested_rows: integer('Rows of the cache without the limit', 64),
  requested_context: integer('Tokens per slot without the limit', 131072),
  limited_by: text('Limit of the cache: memory, or address_space', 'memory'),
  cache_update: text(
    'How the cache is updated: in_place; or growing, where each run makes a longer copy and sequences run one at a time',
    'in_place',
  ),
  logits_bytes: integer('Bytes of the logits of one run', 81920),
  work_bytes: integer(
    'Measured estimate of the bytes that the runtime needs besides weights, cache and logits',
    67108864,
  ),
  needed_bytes: integer('Bytes of weights, cache, logits and work space together', 72285908),
  bytes_read: integer('Bytes of the weights read so far', 1761130),
  percent: integer('Progress in percent', 50),
  address_space_bytes: integer('Limit of the address space of each process (ulimit -v)', 8589934592),
  available_bytes: integer(
    'Free bytes before the load; absent if the system does not report them, and in cache.reserved if --cache-memory is a number',
    22100000000,
  ),
  reserved_bytes: integer(
    'Bytes that other workers of this user have reserved and do not use yet, which are not part of the free bytes; absent if there are none',
    6000000000,
  ),
  other_workers: integer('Number of these workers', 2),
  threads: integer('Threads that compute on the CPU', 2),
  threads_reason: text(
    'Origin of the number of threads: setting (--threads), small_model, cpu_quota, affinity, or cores (one for each)',
    'cpu_quota',
  ),
  cpu_quota: number('Cores whose time the control group of the process allows; present if it limits the threads', 1.5),
  speculation: text('Speculative decoding of a request that runs alone: on or off', 'on'),
  trusted_tokens: integer(
    'Maximum number of tokens that the device computed correctly in one run; present if it limits prompt runs',
    16,
  ),
  cpu_difference_percent: number(
    'Difference in percent between the logits of the device and of the CPU for a short prompt; absent if they were not compared',
    0.02,
  ),
  cpu_check_ms: number('Milliseconds of the comparison with the CPU, part of the duration', 180),
  rounding_percent: number(
    'Difference in percent between the logits of a token computed alone and after others in one run; present if it turns speculation off',
    1.2,
  ),
  requests_running: integer('Requests in progress', 2),
  requests_interrupted: integer('Requests in progress that the next engine process continues', 2),
  caused_by: text('Cause of the loss: request if one request has ended the engine, otherwise unknown', 'unknown'),
  engine_losses: integer('Engine processes that were lost with the request, the last one with it alone', 3),
  tokens_recomputed: integer('Tokens of prompt and output that the engine computed again', 112),
  tokens_dropped: integer('Tokens whose keys and values were dropped', 96),
  interrupted_ms: number('Milliseconds without a token because of lost engines or lack of memory', 412.5),
  requests_waiting: integer('Requests that wait for a slot, or for the next engine process', 1),
  model_ref: text('Name of the model', 'haiku'),
  model_bytes: integer('Bytes of the weights', 3522260),
  memory_bytes: integer(
    'Bytes of memory of the worker and engine processes: proportional (PSS), or resident where the system has no PSS; absent if it reports neither',
    187000000,
  ),
  vram_bytes: integer('Bytes used on the device; 0 on the CPU', 0),
  architecture: text('Architecture of the model', 'LlamaForCausalLM'),
  vocab_size: integer('Number of ids in the vocabulary', 1024),
  context_length: integer('Tokens per slot: prompt and output together', 512),
  dtype: text('Data type of the weights', 'fp32'),
  file: text('Path of a model file, relative to the folder of the model', 'onnx/model.onnx'),
  files: text('Names of model files, separated by commas', 'tokenizer.json, tokenizer_config.json'),
  field: text('Name of a field in a model file', 'top_p'),
  value: text('Value of the field, shortened', '3'),
  differences: integer('Statements of model files that contradict each other', 1),
  details: longText(
    'The first differences, separated by semicolons: the values, their files, and the value that is used',
    'bos_token is "<s>" in special_tokens_map.json (used) and "<b>" in tokenizer_config.json',
    1024,
  ),
  end_token: text('Special token that ends an answer in the chat template; absent if there is none', '<|im_end|>'),
  end_id: integer('Id of the token that ends outputs; absent if there is none', 2),
  template: text(
    'Name of a chat template that requests can choose; absent for the one that requests use which name none',
    'tool_use',
  ),
  templates: text('Names of the chat templates of the model, separated by commas', 'chat, tool_use'),
  dtypes: text('Data types for which the folder of the model has weights, separated by commas', 'q4, fp32'),
  device: text('Device of the model', 'cpu'),
  from_device: text('Device that cannot be used', 'cuda-0'),
  hardware: text('Hardware of the unusable device: present or absent', 'present'),
  runtime_version: text('Version of ONNX Runtime', '1.30.0'),
  version: text('Version of the worker', '0.1.0'),
  node_version: text('Version of Node.js', '20.20.2'),
  pid: integer('Process id', 4242),
  instance_id: text('UUID of this life of the process', '3b1f1c9e-6f0a-4f5e-9d52-0c8a6e2f7b10'),
  started_at: text('When the process started, ISO 8601 in UTC', '2026-01-31T12:00:00.000Z'),
  schema_version: integer('Version of the fields of /health, of the callback and of the events', 2),
  url: text('URL, without its user, password, query and fragment', 'http://127.0.0.1:9000/'),
  uri: text('URL of the worker in the ready callback', 'http://192.0.2.7:8080'),
  address: text('Host and port', '127.0.0.1:8080'),
  http_status: integer('HTTP status of the answer', 202),
  attempt: integer('Number of this attempt; 1 is the first', 1),
  attempts: integer('Maximum number of attempts', 5),
  announcement: integer('Number of the announcement in this life of the worker; 1 is the first', 1),
  // The stack of an error, or a refusal with its numbers, and a path of 1 KiB.
  reason: longText(
    'Reason, as a word or a phrase; where the reader can act, it begins with the action',
    'sigterm',
    2048,
  ),
  error_kind: text('Stable name of the error', 'validation_failed'),
  field_errors: integer('Number of validation errors', 2),
  fields: text('Names of fields of the request body, separated by commas', 'max_token'),
  stop_reason: text('Reason for the end of the output: max_tokens, eos or stop_sequence', 'eos'),
  // Twice the 8 KiB that are kept: a replaced secret can get longer, and the end of the text matters most.
  stderr_tail: longText('Last 8 KiB of the standard error of the engine process', 'Segmentation fault', 16_384),
  descriptor: integer('Number of a file descriptor', 3),
  exit_code: integer('Exit code of the process', 1),
  signal: text('Signal that ended the process', 'SIGKILL'),
  restarts: integer('Engine restarts in the last ten minutes', 1),
  shed: integer('Narration and metrics events that were skipped because all subscribers were slow', 14),
  unread_bytes: integer(
    'Bytes that the subscriber has not read; with several subscribers, the lowest such number',
    131072,
  ),
  events_replayed: integer('Earlier events that are sent to subscribers when they connect', 12),
  times: integer('Number of times since the last report of this event, which is reported once in 10 seconds', 1),
  readers: integer('Number of subscribers of the stream', 2),
  connections: integer('New connections refused because all others were busy', 3),
  connections_evicted: integer('Idle connections closed to make room for new ones', 17),
  connections_limit: integer('Maximum number of connections at the same time', 1024),
  connections_asked: integer('Number of connections that --max-connections allows', 1024),
  files_limit: integer('Maximum number of open file descriptors of the process (ulimit -n)', 1024),
  files_needed: integer('Number of file descriptors that all these connections need', 1088),
  requests_refused: integer('Requests refused since the last report', 200),
  client_address: text('IP address of the client of the last such request', '192.0.2.7'),
  token_fingerprint: text('First 8 hex digits of the SHA-256 of the API token; absent without a token', '5e884898'),
  settings_file: longText('Absolute path of the file of settings', '/srv/worker/.env', 4096),
  settings: longText('Names of settings, separated by commas; never their values', 'model, slots', 1024),
  setting: text('Name of a variable that is no setting of the worker; never its value', 'RBEES_MAX_TOKEN_CAP'),
  suggestion: text('The setting with a similar name; absent if there is none', 'RBEES_MAX_TOKENS_CAP'),
  unknown_settings: integer('Number of such variables; at most 16 of them are reported', 1),
  lines_lost: integer('Log lines dropped because standard output was blocked', 3),
} as const;

export type FieldName = keyof typeof FIELDS;

/** Field name → type of its value. */
export type FieldValues = {
  readonly [F in FieldName]: (typeof FIELDS)[F]['type'] extends 'string' ? string : number;
};
