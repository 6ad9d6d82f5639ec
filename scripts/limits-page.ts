/**
 * Makes docs/limits.md: each limit with its figure, which comes from the constant or the setting in the code.
 */
import { CLOSE_MS as CLOSE_CHILD_MS, KILL_MS, STDERR_TAIL } from '../src/bridge/child.ts';
import { ALIVE_MS } from '../src/bridge/heartbeat.ts';
import { MAX_STALL_GROWTH, MAX_STALL_SHARE, STALL_STEPS } from '../src/bridge/stall-threshold.ts';
import { CANCEL_MS } from '../src/bridge/submissions.ts';
import { PROVEN_IDS } from '../src/bridge/suspects.ts';
import { MAX_STDIN_BYTES } from '../src/commands/ask/arguments/stdin-text.ts';
import { MAX_MESSAGES } from '../src/commands/ask/state/conversation.ts';
import { MAX_HISTORY } from '../src/commands/ask/state/history.ts';
import { CANCEL_WAIT_MS } from '../src/commands/ask/worker/ask-once.ts';
import { MAX_CONFIG_BYTES } from '../src/commands/pull/named-weights.ts';
import { MAX_QUICK_CHECK_BYTES } from '../src/commands/pull/verifier.ts';
import { LAST_STAGES_MS, MAX_LAST_SHARE } from '../src/commands/serve/drain-budget.ts';
import { FORCED_FLUSH_MS } from '../src/commands/serve/serve.ts';
import { DROP_REPORT_MS } from '../src/commands/serve/traces.ts';
import { MIN_ADDRESS_SPACE } from '../src/config/host/address-space.ts';
import { MAX_ORIGINS, READY_FD } from '../src/config/network/address-settings.ts';
import { MAX_TOKEN_FILE_BYTES } from '../src/config/network/hub-token.ts';
import { MAX_THREADS, SETTINGS, type SettingName } from '../src/config/settings.ts';
import { MAX_PIPE_MS, MAX_SETTINGS_FILE_BYTES } from '../src/config/settings-file.ts';
import { MAX_UNKNOWN } from '../src/config/unknown-settings.ts';
import { MAX_TOOL_NAME } from '../src/contract/anthropic/request.ts';
import { MAX_SALT_UNITS } from '../src/contract/cache/salt.ts';
import { AUTO_PROMPT_CHARS, CHARS_PER_TOKEN, FIXED_LIMITS, LEAST_AUTO_TOKENS } from '../src/contract/execute.ts';
import { FORMAT_LIMITS } from '../src/contract/format/fields.ts';
import { MAX_BROKEN } from '../src/contract/openai/chosen-form.ts';
import { DEFAULT_COMPLETION_TOKENS } from '../src/contract/openai/completions.ts';
import { OPENAI_LIMITS } from '../src/contract/openai/fields.ts';
import { MAX_INPUT_ITEMS } from '../src/contract/openai/responses/input.ts';
import { MAX_IDS } from '../src/contract/tokenizer/request.ts';
import { TOOL_LIMITS } from '../src/contract/tools/fields.ts';
import { MAX_PROMPT_LOGPROBS } from '../src/engine/check-request.ts';
import { MAX_LOCK_MS, MAX_RESERVATION_BYTES } from '../src/engine/host/reservations.ts';
import { MAX_CPU_CHECK_MS } from '../src/engine/load/cpu-check.ts';
import { MAX_AUTO_SLOTS } from '../src/engine/load/memory-plan.ts';
import { PROBES } from '../src/engine/load/numeric-check.ts';
import { NEGLIGIBLE_SHARE } from '../src/engine/load/reserved-plan.ts';
import { storedRows } from '../src/engine/ort/cache/growth.ts';
import { MAX_SCORED_BYTES, MAX_SCORED_POSITIONS } from '../src/engine/ort/session.ts';
import { LONGEST_MS } from '../src/engine/prefill-budget.ts';
import { MAX_CHUNK } from '../src/engine/runner.ts';
import { MAX_GRAMMAR_BYTES, MAX_GRAMMARS } from '../src/engine/sampling/grammars.ts';
import { COMPILE_MS, MAX_DEPTH, MAX_STATES, SLOWEST, SURE_STEPS } from '../src/grammar/budget.ts';
import { MAX_AUTOMATON_BYTES, MAX_AUTOMATON_STATES } from '../src/grammar/matching/grammar.ts';
import { MAX_MASK_BYTES } from '../src/grammar/matching/masks.ts';
import { MAX_STEP_FRAMES } from '../src/grammar/matching/stack/steps.ts';
import { MAX_FRACTION_DIGITS, MAX_INTEGER_DIGITS } from '../src/grammar/regular/formats/any-number.ts';
import { MAX_FACTOR } from '../src/grammar/regular/number.ts';
import { MAX_ALTERNATIVES } from '../src/grammar/schema/alternatives.ts';
import { MAX_FIRST_ITEMS } from '../src/grammar/schema/arrays.ts';
import { MAX_LEAST } from '../src/grammar/schema/facts.ts';
import { MAX_NAME_CHARACTERS, MAX_NAMES, MAX_PATTERNS, MAX_REQUIRED } from '../src/grammar/schema/objects.ts';
import { MAX_COPIED_STATES } from '../src/grammar/schema/scalars.ts';
import { MAX_NESTED_NAMES } from '../src/http/anthropic/ignored.ts';
import { MAX_KEY_LEVELS, MAX_KEYS, MAX_LEVELS, MAX_VALUES } from '../src/http/body/json-body.ts';
import { CLOSE_MS } from '../src/http/connections/broken-http.ts';
import { LINGER_MS, MAX_LAST_CONNECTIONS, MAX_LINGER_SHARE } from '../src/http/connections/end/server-end.ts';
import { RESERVED_FILES } from '../src/http/connections/open-files.ts';
import { MAX_WAITING_REQUESTS, MAX_WAITING_REQUESTS_TOGETHER } from '../src/http/connections/pipeline.ts';
import { ADDRESS_SHARE } from '../src/http/connections/places.ts';
import {
  HEADER_BYTES,
  IDLE_MS,
  KEEP_ALIVE_MS,
  PROBE_PLACES,
  SOCKET_BYTES,
  UNTRUSTED_MS,
} from '../src/http/connections.ts';
import { MAX_CORRELATION_CHARS } from '../src/http/correlation.ts';
import { MAX_ELEMENTS } from '../src/http/dialect/bounded-lists.ts';
import { MAX_VIOLATIONS } from '../src/http/dialect/check.ts';
import { MAX_UNKNOWN_FIELDS } from '../src/http/dialect/unknown-fields.ts';
import { MAX_HEADERS } from '../src/http/http-rules.ts';
import { LISTED } from '../src/http/operator/jobs.ts';
import { PROCESS_AGE_MS, SCRAPE_MS } from '../src/http/operator/metrics.ts';
import { bodyLimit, MAX_PARAMETER_CHARS } from '../src/http/server.ts';
import { IDS_PER_TURN } from '../src/http/tokenizer/decode-ids.ts';
import { LEAST_AUTO_CHARS } from '../src/http/tokenizer/family.ts';
import { MAX_ISSUES, MAX_LIST, MAX_SHOWN } from '../src/http/validate.ts';
import { STOPPING_MS } from '../src/jobs/admission.ts';
import { SPEED_INTERVAL_MS } from '../src/jobs/generation/speed/batch-watch.ts';
import { RUN_ID_CHARS } from '../src/jobs/job.ts';
import { MAX_PROMPT_SCORES } from '../src/jobs/prompt.ts';
import { LEAST_COUNTED } from '../src/jobs/prompt-ids.ts';
import { MAX_KEPT, MAX_REMEMBERED, MIN_LOG_BYTES } from '../src/jobs/registry.ts';
import { CHUNK_BYTES } from '../src/jobs/subscriber.ts';
import { CAUGHT_UP_BYTES, MAX_SUBSCRIBERS, SHED_BYTES, STALLED_BYTES } from '../src/jobs/subscribers.ts';
import { ANNOUNCE_SPACING_MS } from '../src/lifecycle/callback/announcer.ts';
import { CALLBACK_TIMES } from '../src/lifecycle/callback/ready-callback.ts';
import {
  LOSS_WINDOW_MS,
  MAX_LOSSES,
  MAX_SHORTAGES,
  MAX_WARNINGS,
  RESTART_FACTOR,
} from '../src/lifecycle/engine-supervisor.ts';
import { PROBE_RENDER } from '../src/lifecycle/open-text.ts';
import {
  LEAST_OPEN_FILES,
  MAX_INTERRUPT_MS,
  MAX_LOOP_SILENCE_FORCED_MS,
  MAX_LOOP_SILENCE_MS,
} from '../src/lifecycle/watchdog.ts';
import { GGUF_LIMITS } from '../src/model/checkpoint/gguf/header-bytes.ts';
import { MAX_CONFIG_DEPTH, MAX_TABLE_BYTES } from '../src/model/checkpoint/read-decoder.ts';
import { HEADER_LIMITS } from '../src/model/checkpoint/safetensors.ts';
import { MAX_SHARDS } from '../src/model/checkpoint/shards.ts';
import { MAX_JSON_BYTES } from '../src/model/folder-files.ts';
import { MAX_REDIRECTS, MAX_RESPONSE_BYTES, RETRY_POLICY } from '../src/model/hub/connection.ts';
import { LOCK_TIMES } from '../src/model/hub/lock.ts';
import { MAX_PAGES } from '../src/model/hub/repository.ts';
import { MAX_TRIES } from '../src/model/hub/transfer.ts';
import { MAX_DIFFERENCES } from '../src/model/spec/merged-tokens.ts';
import { MAX_TEMPLATE, MAX_TEMPLATES } from '../src/model/template-source.ts';
import { IDLE_FLUSH_MS, LONGEST_FLUSH_MS, MOST_PENDING } from '../src/narration/backlog.ts';
import { LIMITS } from '../src/narration/entry.ts';
import { FIELDS } from '../src/narration/fields.ts';
import { LONGEST_INPUT } from '../src/narration/sanitize.ts';
import { REPORT_WINDOW_MS } from '../src/narration/throttle.ts';
import { MAX_LOGIT_BIASES } from '../src/protocol/logit-bias.ts';
import { MAX_TOKENIZER_BYTES } from '../src/protocol/text/json-text.ts';
import {
  MAX_MEMORY_AGE_MS,
  MAX_MEMORY_READING_MS,
  MAX_SCRAPE_READING_MS,
  MEMORY_READING_SHARE,
  MIN_MEMORY_AGE_MS,
} from '../src/telemetry/memory-figure.ts';
import { MAX_TRACED_OUTPUTS } from '../src/telemetry/traces/request-trace.ts';
import { MAX_BATCH_CHARS, MAX_QUEUE_CHARS } from '../src/telemetry/traces/span-queue.ts';
import { MAX_REPORTED } from '../src/text/grammar/compile-source.ts';
import { COMPILE_THREAD_LIMITS } from '../src/text/grammar/compile-thread.ts';
import { CACHE_BOUNDS, LOOP_COMPILE_MS, LOOP_SOURCE_UNITS } from '../src/text/grammar/grammar-compiler.ts';
import { MAX_PLACE_UNITS } from '../src/text/grammar/place.ts';
import { MAX_PENDING_TOKENS } from '../src/text/output/output-text.ts';
import { MAX_RANGE } from '../src/text/template/jinja/jinja.ts';
import {
  MAX_ARGUMENT,
  MAX_INDENT,
  MAX_PARTS,
  MAX_RENDER,
  MAX_SORTED,
  MAX_TEXT,
} from '../src/text/template/render-limits.ts';
import { THREAD_LIMITS } from '../src/text/thread/encode-thread.ts';
import { MAX_OVERTAKEN } from '../src/text/thread/job-thread.ts';
import { MAX_STAGE_UNITS } from '../src/text/tokenizer/encode-error.ts';
import { MAX_LOOP_PARTS, MAX_LOOP_PATTERN_UNITS, MAX_LOOP_TOKEN_UNITS } from '../src/text/tokenizer/loop-shape.ts';
import { MAX_AFFIX_UNITS } from '../src/text/tokenizer/models/bpe.ts';
import { MAX_UNSORTED_MARKS } from '../src/text/tokenizer/stages/canonical-order.ts';
import { MAX_CHARSMAP_BYTES } from '../src/text/tokenizer/stages/charsmap.ts';
import {
  MAX_DECODER_PATTERN,
  MAX_DECODER_STEPS,
  MAX_DECODER_WORK,
  MAX_TOKEN_UNITS,
} from '../src/text/tokenizer/stages/decoder-growth.ts';
import { MAX_ADDED_IDS } from '../src/text/tokenizer/stages/post-processor.ts';
import { LOOP_MESSAGE_UNITS, LOOP_RENDER, LOOP_STAGE_UNITS, LOOP_UNITS } from '../src/text/tokenizer/tokenizer.ts';
import { MAX_FREE_NAME } from '../src/text/tools/constraint/notations.ts';
import { MAX_VARIANTS } from '../src/text/tools/constraint/ordered.ts';
import { MAX_CALLS_UNITS, MAX_MARKER_UNITS } from '../src/text/tools/deriving/call-format.ts';
import { MAX_PROBES_MS, PROFILE_RENDER } from '../src/text/tools/deriving/probes.ts';
import { MAX_REMEMBERED_VARIANTS } from '../src/text/tools/dialogue.ts';
import { MAX_HEADER_UNITS } from '../src/text/tools/reading/harmony.ts';
import { MAX_HELD_UNITS, MAX_HELD_VALUE_UNITS, MAX_NAME_UNITS } from '../src/text/tools/reading/input.ts';
import { MAX_NESTING, MAX_NUMBER_UNITS } from '../src/text/tools/reading/notation.ts';
import { MAX_SCHEMA_LEVELS, MAX_SCHEMAS } from '../src/text/tools/reading/schema-types.ts';

/** Milliseconds of the stages of a drain after the running jobs. */
const LAST_STAGES = Object.values(LAST_STAGES_MS).reduce((sum, ms) => sum + ms, 0);
const REPLAY_BYTES = Number(SETTINGS['replay-memory'].fallback) * 2 ** 20;

/** The page. */
export function limitsPage(): string {
  return `<!-- Made by \`npm run generate\` from the constants of the code: edit scripts/limits-page.ts instead. -->
# Limits

Everything that can grow, and its bound. A limit that can be set names its flag; the others are constants in the code,
with their reason. A caller that meets a limit learns it from the answer, from the stream, or from the log.

## Requests

| what | bound | set by | beyond it | code | test |
|---|---|---|---|---|---|
| request line and headers | ${bytes(HEADER_BYTES)} | – | 431 | \`http/connections\` | \`e2e/api/intruders\` |
| headers | ${count(MAX_HEADERS)} | – | 431 | \`http/http-rules\` | \`http/answers\` |
| body | ${bytes(bodyLimit(0))} + ${bytes(bodyLimit('auto') - bodyLimit(0))}; with a number ${bytes(bodyLimit(0))} + ${bodyLimit(1) - bodyLimit(0)} bytes per character | \`--max-prompt-chars\` | 413 \`PAYLOAD_TOO_LARGE\` | \`http/server\` | \`e2e/api/validation\`, \`e2e/api/smuggling\` (chunked) |
| compressed body | the limit of the body, as sent and decoded; decoded on a thread in pieces of 16 KiB | \`--max-prompt-chars\` | 413 \`PAYLOAD_TOO_LARGE\` at the first byte too many | \`http/body/read-body\`, \`http/body/coding\` | \`http/body/encoded-bodies\`, \`loop/bodies\` |
| depth of a body | ${MAX_LEVELS} levels | – | 400 \`INVALID_REQUEST\` | \`http/body/json-body\` | \`e2e/api/intruders\` |
| keys of a body; their levels together; values | ${count(MAX_KEYS)}; ${count(MAX_KEY_LEVELS)}; ${count(MAX_VALUES)} | – | 400 \`INVALID_REQUEST\`, before the body is parsed | \`http/body/json-body\` | \`loop/bodies\`, \`e2e/attacks/floods\` |
| prompt, or all messages together | auto: ${CHARS_PER_TOKEN} characters for each token of the context, from ${count(AUTO_PROMPT_CHARS.least)} to ${count(AUTO_PROMPT_CHARS.most)} | \`--max-prompt-chars\` | 400, with all violations | \`contract/execute\` | \`contract/request-limits\`, \`e2e/engine/context-limit\` |
| prompt, in tokens | context − 1 | \`--context\` | 413 \`PROMPT_TOO_LONG\` with both numbers; the engine never receives it | \`jobs/prompt\` | \`e2e/engine/context-limit\` |
| messages; stop strings | ${FIXED_LIMITS.messages}; ${FIXED_LIMITS.stops} of ${FIXED_LIMITS.stopChars} characters | – | 400 | \`contract/execute\` | \`http/validate\` |
| \`/execute\`: tools; name of a function; calls of one message; id of a call; \`reasoning_effort\` | ${TOOL_LIMITS.tools}; ${TOOL_LIMITS.nameChars} characters; ${TOOL_LIMITS.calls}; ${TOOL_LIMITS.idChars} characters; ${TOOL_LIMITS.effortChars} characters | – | 400 | \`contract/tools/fields\` | \`http/native/order\` |
| regular expression of an output; choices; one choice | ${count(FORMAT_LIMITS.regexChars)} characters; ${count(FORMAT_LIMITS.choices)}; ${count(FORMAT_LIMITS.choiceChars)} characters | – | 400 | \`contract/format/fields\` | \`http/validate\`, \`http/openai/formats\` |
| JSON text of a schema (\`guided_json\`, \`structured_outputs.json\`) | levels, keys and values of a body | – | 400 | \`http/openai/shared/format\` | \`http/openai/formats\`, \`loop/openai\` |
| OpenAI: messages; parts of one; calls of one; tools; name of a function; stop strings | ${count(OPENAI_LIMITS.messages)}; ${OPENAI_LIMITS.parts}; ${OPENAI_LIMITS.calls}; ${OPENAI_LIMITS.tools}; ${OPENAI_LIMITS.nameChars} characters; ${OPENAI_LIMITS.stops} of ${OPENAI_LIMITS.stopChars} characters | – | 400 | \`contract/openai/fields\` | \`http/openai/bodies\` |
| OpenAI: outputs for each prompt; prompts × outputs; alternatives of a token; \`model\` and ids of calls | ${OPENAI_LIMITS.choices}; ${OPENAI_LIMITS.sequences}; ${OPENAI_LIMITS.topLogprobs}; ${OPENAI_LIMITS.valueChars} characters | – | 400 | \`contract/openai/fields\` | \`http/openai/bodies\` |
| \`cache_salt\` | ${MAX_SALT_UNITS} characters | – | 400 | \`contract/cache/salt\` | \`e2e/engine/shared-memory\` |
| ids of \`resume\` | \`max_tokens\`, and the values of a body | \`max_tokens\` | 400 | \`jobs/generation/resume/resumed-output\` | \`e2e/api/resume-checks\` |
| OpenAI: tokens of a completion without \`max_tokens\` | ${DEFAULT_COMPLETION_TOKENS} | \`max_tokens\` | \`finish_reason: length\` | \`contract/openai/completions\` | \`e2e/api/openai-completions\` |
| violations of a body of \`/execute\` that an error reports | ${MAX_ISSUES} | – | the others are left out | \`http/validate\` | \`loop/bodies\` |
| violations of a body of a dialect that an error reports | ${MAX_VIOLATIONS} | – | the others are left out | \`http/dialect/check\` | \`http/openai/bodies\` |
| messages, blocks, tools and stop sequences of \`/v1/messages\` | ${count(MAX_ELEMENTS)} together | – | 400 | \`http/dialect/bounded-lists\` | \`http/anthropic/order\` |
| messages, their parts and calls, tools and stop sequences of \`/v1/messages\` and \`/tokenize\` | ${count(MAX_ELEMENTS)} together | – | 400 | \`http/dialect/bounded-lists\` | \`http/anthropic/order\` |
| name of a tool | ${MAX_TOOL_NAME} characters | – | 400 | \`contract/anthropic/request\` | \`http/anthropic/order\` |
| text of \`/tokenize\` | as a prompt, but at least ${count(LEAST_AUTO_CHARS)} characters | \`--max-prompt-chars\` | 400 | \`http/tokenizer/family\` | \`e2e/api/tokenizer\` |
| log-probabilities of the prompts of \`/v1/completions\`, with alternatives, for each output | ${count(MAX_PROMPT_SCORES)} | – | 400 | \`jobs/prompt\` | \`jobs/prompt\` |
| tokens of \`/tokenize\` and \`/v1/messages/count_tokens\` | ${count(LEAST_COUNTED)}, or the context | – | 400 | \`jobs/prompt\` | \`jobs/prompt\` |
| ids of \`/detokenize\` | ${count(MAX_IDS)} | – | 400 | \`contract/tokenizer/request\` | \`loop/anthropic\` |
| items of \`input\` (\`/v1/responses\`) | ${MAX_INPUT_ITEMS} | – | 400 | \`contract/openai/responses/input\` | \`http/openai/responses/order\` |
| elements of a list that are validated | the maximum of the list, otherwise ${count(MAX_LIST)} | – | 400, one violation for the list | \`http/validate\` | \`http/validate\`, \`e2e/api/intruders\` |
| broken items of \`input\` that are described (\`/v1/responses\`) | ${MAX_BROKEN} | – | 400; the rest is not read | \`contract/openai/chosen-form\` | \`http/dialect/check\`, \`loop/openai\` |
| value or key of the caller that a violation repeats | ${MAX_SHOWN} characters | – | cut | \`http/validate\` | \`http/validate\` |
| job id; correlation id | ${FIXED_LIMITS.jobIdChars} characters, none invisible or of private use; ${MAX_CORRELATION_CHARS} of \`A-Za-z0-9._-\` | – | 400; the worker makes a new one | \`contract/execute\`, \`http/correlation\` | \`e2e/api/validation\`, \`e2e/api/correlation\` |
| job id in a path | ${count(MAX_PARAMETER_CHARS)} bytes, percent-encoded | – | 400 | \`http/server\` | \`e2e/streams/replay\`, \`loop/requests\` |
| origins of pages | ${MAX_ORIGINS} | \`--cors-origin\` | exit 2 | \`config/settings\` | \`e2e/api/cors\` |
| unknown fields and types inside of a body of \`/v1/messages\` that a narration names | ${MAX_NESTED_NAMES} | – | the others are not named | \`http/anthropic/ignored\` | \`http/anthropic/order\` |
| unknown fields inside of the values of a body of OpenAI's routes or of \`/tokenize\` that a narration names | ${MAX_UNKNOWN_FIELDS} | – | the others are not named | \`http/dialect/unknown-fields\` | \`http/dialect/unknown-fields\` |
| jobs of an answer to \`GET /jobs\` | ${LISTED.usual}, at most ${count(LISTED.most)} (\`limit\`); \`totals\` counts all | – | 400 for a higher \`limit\` | \`http/operator/jobs\` | \`loop/jobs\` |
| renderings of \`/metrics\` | one in ${seconds(SCRAPE_MS)}; of the metrics of Node.js one in ${seconds(PROCESS_AGE_MS)} | – | the same text again | \`http/operator/metrics\` | \`loop/requests\` |
| readings of the memory for \`/health\` and \`/metrics\` | one in ${seconds(MIN_MEMORY_AGE_MS)}, only when asked, and at most ${100 / MEMORY_READING_SHARE} % of the time or one in ${seconds(MAX_MEMORY_AGE_MS)}; the start and the ready callback wait for ${seconds(MAX_MEMORY_READING_MS)}, a scrape for ${seconds(MAX_SCRAPE_READING_MS)} | – | the last figure again | \`telemetry/memory-figure\` | \`telemetry/memory-figure\` |

## Connections

| what | bound | set by | beyond it | code | test |
|---|---|---|---|---|---|
| connections | ${setting('max-connections')} | \`--max-connections\` | the connection that is idle longest is closed, without a token first; if all are busy, the new one is refused; \`connections.refused\` | \`http/connections/places\` | \`http/connections/places\`, \`e2e/connections/strangers\` |
| connections, if the limit of open files is low | open files − ${RESERVED_FILES}, at least a quarter of them | \`ulimit -n\` | \`connections.limited\` at the start; then as above | \`http/connections/open-files\` | \`http/connections/open-files\`, \`e2e/lifecycle/descriptors\` |
| share of an address before its connections are closed first | 1/${1 / ADDRESS_SHARE} | – | its connection that is idle longest is closed | \`http/connections/places\` | \`http/connections/places\`, \`e2e/connections/strangers\` |
| places for probes while all connections are busy | ${PROBE_PLACES} | – | the oldest is closed; other routes get 503 \`TOO_MANY_CONNECTIONS\` | \`http/connections\` | \`e2e/connections/strangers\` |
| connection that has not brought the token | ${seconds(UNTRUSTED_MS)} without an answer | – | 408 or closed | \`http/connections\` | \`e2e/connections/strangers\` |
| pipelined requests that wait on one connection; on all | ${MAX_WAITING_REQUESTS}; ${count(MAX_WAITING_REQUESTS_TOGETHER)} | – | closed | \`http/connections/pipeline\` | \`e2e/connections/pipelining\` |
| reports of refused connections, tokens and pages | one of each in ${seconds(REPORT_WINDOW_MS)} | – | counted in the next report | \`narration/throttle\` | \`narration/throttle\`, \`e2e/connections/refusals\` |
| time for a request to arrive; for its headers | ${setting('arrival-timeout')} s; a third of it | \`--arrival-timeout\` | 408 | \`http/connections\` | \`e2e/api/smuggling\` |
| silence between two requests of a trusted connection | ${seconds(KEEP_ALIVE_MS)} | – | closed | \`http/connections\` | \`contract/limits\` |
| silence of a peer that the answer waits for | ${seconds(IDLE_MS)} + slow-timeout; twice sse-heartbeat + slow-timeout, if that is longer | \`--slow-timeout\`, \`--sse-heartbeat\` | closed: the subscriber has left | \`http/connections\` | \`contract/limits\` |
| buffer of a socket | ${bytes(SOCKET_BYTES)} | – | its subscriber waits | \`http/connections\`, \`jobs/subscriber\` | \`bench/stalled-readers.mjs\` |
| a peer after the last answer of its connection (malformed HTTP, 401, 403, a drain) | ${seconds(CLOSE_MS)} after the answer | – | closed | \`http/connections/broken-http\` | \`e2e/api/intruders\`, \`e2e/connections/refusals\` |
| silence of a stream | ${setting('sse-heartbeat')} s | \`--sse-heartbeat\` | a comment is sent | \`jobs/subscriber\` | \`jobs/subscribers\`, \`e2e/streams/heartbeat\` |
| idle connection after the server has stopped to listen | ${seconds(LINGER_MS)}, at most 1/${1 / MAX_LINGER_SHARE} of the shutdown timeout | \`--shutdown-timeout\` | closed; an answer before that ends it too | \`http/connections/end/server-end\` | \`http/connections/end/server-end\`, \`e2e/connections/draining\` |
| connections that are accepted while the server stops to listen | ${count(MAX_LAST_CONNECTIONS)} | – | reset | \`http/connections/end/server-end\` | \`http/connections/end/server-end\` |

## Jobs

| what | bound | set by | beyond it | code | test |
|---|---|---|---|---|---|
| jobs in flight | slots + queue | \`--slots\`, \`--queue\` | 503 \`ALL_SLOTS_BUSY\`, \`Retry-After\` | \`jobs/admission\` | \`e2e/engine/queue\` |
| time of a request | ${setting('request-timeout')} s | \`--request-timeout\`, \`timeout_ms\`, \`X-Deadline\` | \`error TIMEOUT\`; 504 before the stream | \`jobs/admission\` | \`e2e/api/deadlines\` |
| tokens of an output | auto: the context, \`max_tokens\` at least ${count(LEAST_AUTO_TOKENS)}; and the rest of the context | \`--max-tokens-cap\`, \`--context\` | 400; \`end\` with \`max_tokens\` | \`contract/execute\`, \`jobs/prompt\` | \`contract/request-limits\`, \`e2e/engine/context-limit\` |
| wait of a job for the end of a stopped job with its id | ${seconds(STOPPING_MS)} | – | 409 \`DUPLICATE_JOB\`, \`Retry-After\` | \`jobs/admission\` | \`jobs/admission\`, \`e2e/streams/same-id-again\` |
| ids in \`logit_bias\` | ${count(MAX_LOGIT_BIASES)} | – | 400 | \`contract/sampling-fields\`, \`engine/check-request\` | \`e2e/api/logit-bias\`, \`engine/sampling/logit-bias\` |
| log-probabilities of a token | ${FIXED_LIMITS.logprobs} | – | 400 | \`contract/execute\` | \`e2e/api/validation\` |
| text held back for a stop string | the longest stop string | – | – | \`text/output/stop-strings\` | \`text/output/stop-strings\` |
| text held back for a tool call: arguments before the name, white space | ${count(MAX_HELD_UNITS)} characters; otherwise the longest marker | – | content, counted as unparsed | \`text/tools/reading/input\` | \`text/tools/output-reader\` |
| text held back for one value of a tool call: arguments in a text of JSON, a tagged value that is not a text | ${count(MAX_HELD_VALUE_UNITS)} characters; ${count(MAX_HELD_UNITS)} if it can be a text | – | content, counted as unparsed; a text streams | \`text/tools/reading/input\` | \`text/tools/broken-calls\` |
| levels and references of a schema that are followed for the type of a tagged value; schemas in all | ${MAX_SCHEMA_LEVELS}; ${count(MAX_SCHEMAS)} | – | any type | \`text/tools/reading/schema-types\` | \`text/tools/broken-calls\` |
| name of a tool or an argument; header of a gpt-oss message; number | ${MAX_NAME_UNITS}; ${MAX_HEADER_UNITS}; ${MAX_NUMBER_UNITS} characters | – | the text is no call: content | \`text/tools/reading/input\`, \`text/tools/reading/harmony\`, \`text/tools/reading/notation\` | \`text/tools/output-reader\` |
| nesting of the arguments of a tool call | ${MAX_NESTING} levels | – | the call ends, the rest is content | \`text/tools/reading/notation\` | \`text/tools/output-reader\` |
| one rendering of a chat template for the profile of its outputs | ${count(PROFILE_RENDER.steps)} steps, ${count(PROFILE_RENDER.text)} characters, ${seconds(PROFILE_RENDER.ms)}; all together ${seconds(MAX_PROBES_MS)} | – | the ability counts as not supported | \`text/tools/deriving/probes\` | \`text/tools/derivation\`, \`text/tools/dialogue\` |
| calls in a rendering, and a marker of a call, from which a format is derived | ${count(MAX_CALLS_UNITS)}; ${MAX_MARKER_UNITS} characters | – | the template counts as one without tools | \`text/tools/deriving/call-format\` | \`text/tools/derivation\`, \`text/tools/profile\` |
| variants of the variables of a template that are remembered | ${MAX_REMEMBERED_VARIANTS} | – | all are forgotten | \`text/tools/dialogue\` | \`text/tools/dialogue\` |
| tokens that wait for a text | ${MAX_PENDING_TOKENS} | – | the oldest are not reported | \`text/output/output-text\` | \`loop/streams\` |
| time to finish at a stop | ${setting('shutdown-timeout')} s − ${seconds(LAST_STAGES)}, at least half of the timeout | \`--shutdown-timeout\` | \`error DRAINING\` | \`commands/serve/drain-budget\` | \`commands/serve/drain-budget\`, \`e2e/lifecycle/drain-budget\` |

## Streams and their subscribers

| what | bound | set by | beyond it | code | test |
|---|---|---|---|---|---|
| subscribers of one job | ${MAX_SUBSCRIBERS} | – | 429 \`TOO_MANY_READERS\`: disconnect one of them, or retry when one has left | \`jobs/subscribers\` | \`jobs/subscribers\`, \`e2e/streams/many-subscribers.long\` |
| reports of subscribers that return or leave a job behind | one of each in ${seconds(REPORT_WINDOW_MS)} for a job, in the log only | – | counted in \`times\` | \`jobs/subscribers\` | \`jobs/subscribers\`, \`e2e/streams/replay\` |
| bytes that a subscriber receives in one turn of the event loop | ${bytes(CHUNK_BYTES)} | – | the next turn | \`jobs/subscriber\` | \`loop/streams\` |
| reports of a change of the batch, and of a slow phase | one of each in ${seconds(SPEED_INTERVAL_MS)} for a job | – | the next report covers the time since the last one | \`jobs/generation/speed/batch-watch\`, \`jobs/generation/speed/slow-watch\` | \`jobs/speed/batch\`, \`jobs/speed/slow\`, \`e2e/streams/why-slow\` |
| unread bytes of every subscriber, before narration and metrics are dropped | ${bytes(SHED_BYTES)} | – | \`reader.slow\`, \`shed\` | \`jobs/subscribers\` | \`jobs/subscribers\`, \`e2e/streams/slow-subscribers\` |
| unread bytes of every subscriber, before the generation pauses | ${bytes(STALLED_BYTES)}, continues at ${bytes(CAUGHT_UP_BYTES)} | – | \`generation.paused\`, \`generation.resumed\` | \`jobs/subscribers\` | \`jobs/subscribers\`, \`e2e/streams/slow-subscribers\`, \`engine/pausing\` |
| time in which a stalled subscriber reads nothing | ${setting('slow-timeout')} s | \`--slow-timeout\` | \`error SLOW_CONSUMER\`; if the job has other subscribers, or continues without one, only the connection is closed (\`reader.dropped\`) | \`jobs/subscribers\` | \`jobs/subscribers\`, \`e2e/streams/slow-subscribers\` |
| time a job continues without a subscriber (\`on_disconnect\`) | ${setting('detach-timeout')} s | \`--detach-timeout\` | \`error CANCELLED\` | \`jobs/subscribers\` | \`jobs/subscribers\`, \`e2e/streams/replay\` |
| log of a running job | half of the memory ÷ slots, ${bytes(MIN_LOG_BYTES)} at least (${bytes(REPLAY_BYTES / 2 / MAX_AUTO_SLOTS)} with ${MAX_AUTO_SLOTS} slots by default) | \`--replay-memory\` | events that the subscribers have received are dropped (\`410\`); without a subscriber the generation pauses | \`jobs/registry\`, \`jobs/subscribers\` | \`jobs/subscribers\`, \`e2e/streams/replay-limits.long\` |
| logs of all finished jobs | half of the memory (${bytes(REPLAY_BYTES / 2)}) | \`--replay-memory\` | the oldest is dropped: \`410 GONE\` | \`jobs/registry\` | \`jobs/registry\`, \`e2e/streams/replay-limits.long\` |
| time a log is kept after the end of its job | ${setting('replay-ttl')} s | \`--replay-ttl\` | \`410 GONE\` | \`jobs/registry\` | \`jobs/registry\`, \`e2e/streams/replay-limits.long\` |
| finished jobs whose logs are kept, for any memory | ${count(MAX_KEPT)} | – | the oldest are dropped: 410 | \`jobs/registry\` | \`jobs/registry\` |
| bytes of an event id for its run | ${RUN_ID_CHARS + 1} | \`--event-ids\` | – | \`jobs/job\` | \`jobs/event-log\` |
| ids of jobs whose logs were dropped, with their runs | ${count(MAX_REMEMBERED)} | – | the oldest are forgotten: 404; a number without a run is then accepted for a new run of that id | \`jobs/registry\` | \`jobs/registry\` |

Tokens are never dropped: the pause bounds them. If half of the memory has less than ${bytes(MIN_LOG_BYTES)} for each slot, the bound of
all logs together is slots × ${bytes(MIN_LOG_BYTES)} plus the other half. A pause takes effect one step later. If the worker is busier
than its engine, the tokens that the engine has computed until then come on top: at most the \`max_tokens\` of the job.

## Text of a model and of its callers

A tokenizer.json and a chat template are programs of a model folder. The event loop does only the part of their work
whose time is known; a thread with a deadline does the rest.

| what | bound | set by | beyond it | code | test |
|---|---|---|---|---|---|
| prompt that cannot fit | characters ÷ longest token > context | \`--context\` | 413 before it is encoded, "at least n tokens" | \`text/tokenizer/least-tokens\` | \`text/tokenizer/least-tokens\` |
| text that the event loop encodes; that a stage makes there | ${count(LOOP_UNITS)}; ${count(LOOP_STAGE_UNITS)} UTF-16 units | – | the thread encodes it | \`text/tokenizer/tokenizer\` | \`text/tokenizer/bounds\` |
| patterns on the event loop; literal ones; longest token to search for | those that were measured, in at most ${MAX_LOOP_PARTS} parts; ${MAX_LOOP_PATTERN_UNITS}; ${MAX_LOOP_TOKEN_UNITS} characters | – | the thread encodes every text | \`text/tokenizer/loop-shape\` | \`text/tokenizer/bounds\` |
| messages rendered on the event loop | ${count(LOOP_MESSAGE_UNITS)} UTF-16 units; ${seconds(LOOP_RENDER.ms)}, ${count(LOOP_RENDER.steps)} steps, ${count(LOOP_RENDER.text)} units of text | – | the thread renders them | \`text/tokenizer/tokenizer\` | \`text/thread/messages\` |
| time of the thread for one text | ${seconds(THREAD_LIMITS.jobMs)} + ${THREAD_LIMITS.unitMs} ms for each UTF-16 unit | – | 400, \`tokenizer.replaced\`; other texts continue | \`text/thread/encode-thread\` | \`text/thread/encode-thread\`, \`e2e/engine/hostile-tokenizer\` |
| start of the thread; its heap | ${seconds(THREAD_LIMITS.startMs)}; ${count(THREAD_LIMITS.heapMb)} MiB | – | exit 1 at start, otherwise 400 | \`text/thread/encode-thread\` | \`text/thread/encode-thread\` |
| shorter texts that go before a waiting one | ${MAX_OVERTAKEN} | – | the oldest text is next | \`text/thread/job-thread\` | \`text/thread/encode-thread\` |
| text that a stage makes of all parts of a text | ${count(MAX_STAGE_UNITS)} UTF-16 units | – | 400 | \`text/tokenizer/encode-error\` | \`text/tokenizer/bounds\`, \`e2e/engine/hostile-tokenizer\` |
| combining marks in a row that ICU sorts | ${MAX_UNSORTED_MARKS} | – | sorted by class before; the same text | \`text/tokenizer/stages/canonical-order\` | \`text/tokenizer/stages/canonical-order\` |
| text of a token; steps and pattern of a decoder; longest token × patterns | ${count(MAX_TOKEN_UNITS)}; ${MAX_DECODER_STEPS}; ${MAX_DECODER_PATTERN} characters; ${count(MAX_DECODER_WORK)} | – | exit 1 | \`text/tokenizer/stages/decoder-growth\` | \`text/tokenizer/bounds\`, \`e2e/engine/hostile-tokenizer\` |
| ids that a post-processor adds; affix; charsmap entry | ${count(MAX_ADDED_IDS)}; ${MAX_AFFIX_UNITS}; ${count(MAX_CHARSMAP_BYTES)} bytes | – | exit 1 | \`text/tokenizer/stages/post-processor\`, \`text/tokenizer/models/bpe\`, \`text/tokenizer/stages/charsmap\` | \`text/tokenizer/bounds\` |
| chat template | ${count(MAX_TEMPLATE)} characters | – | \`template.unusable\` with the file; 400 \`TEMPLATE_UNUSABLE\` | \`model/template-source\` | \`model/template-source\`, \`e2e/engine/chat-templates\` |
| chat templates of a model | ${MAX_TEMPLATES} | – | the others are ignored, never the default one | \`model/template-source\` | \`model/template-source\` |
| probe of a chat template at the start | ${PROBE_RENDER.ms} ms on the event loop, then ${seconds(THREAD_LIMITS.jobMs)} on the thread | – | \`template.unusable\` | \`lifecycle/open-text\` | \`e2e/engine/chat-templates\` |
| name in \`template\` | ${FIXED_LIMITS.templateChars} characters | – | 400 | \`contract/execute\` | \`http/validate\` |
| one rendering | ${seconds(MAX_RENDER.ms)}, ${count(MAX_RENDER.steps)} steps, ${bytes(MAX_RENDER.text).replace('iB', 'i')} characters made | – | 400 | \`text/template/render-limits\` | \`text/template/jinja\` |
| string; list; sorted items; \`range()\` in a template | ${count(MAX_TEXT)}; ${count(MAX_PARTS)}; ${count(MAX_SORTED)}; ${count(MAX_RANGE)} | – | 400 | \`text/template/render-limits\`, \`text/template/jinja/jinja\` | \`text/template/jinja\` |
| indent; date format, attribute, separator | ${MAX_INDENT}; ${MAX_ARGUMENT} characters | – | 400 | \`text/template/render-limits\` | \`text/template/jinja\` |

## Forms of an output

A schema, a pattern or choices of a request become a grammar. A short one is compiled on the event loop within a part of
the time that it may need, and every other one on a thread.

| what | bound | set by | beyond it | code | test |
|---|---|---|---|---|---|
| time to compile a form; states of its grammar; depth | ${COMPILE_MS} ms, or ${SLOWEST * COMPILE_MS} ms for the first ${count(SURE_STEPS)} units of work; ${count(MAX_STATES)}; ${MAX_DEPTH} levels | – | 400 \`SCHEMA_TOO_COMPLEX\` with the place and the limits | \`grammar/budget\` | \`jobs/grammar\` |
| alternatives of one value after \`anyOf\`, \`oneOf\` and \`allOf\` are combined | ${count(MAX_ALTERNATIVES)} | – | 400 \`SCHEMA_TOO_COMPLEX\` | \`grammar/schema/alternatives\` | \`grammar/schema/hostile\` |
| patterns for the names of one object; names of a finite pattern that are listed one by one | ${MAX_PATTERNS}; ${count(MAX_NAMES)} | – | 400 \`SCHEMA_TOO_COMPLEX\`; the pattern counts as endless | \`grammar/schema/objects\` | \`grammar/schema/hostile\`, \`grammar/schema/errors\` |
| names of members beside a pattern for other names, together | ${count(MAX_NAME_CHARACTERS)} characters | – | 400 \`SCHEMA_TOO_COMPLEX\` | \`grammar/schema/objects\` | \`grammar/schema/hostile\` |
| members that the members of one object require, counted for each one, with chains (\`dependentRequired\`); first items next to \`contains\` | ${count(MAX_REQUIRED)}; ${count(MAX_FIRST_ITEMS)} | – | 400 \`SCHEMA_TOO_COMPLEX\` | \`grammar/schema/objects\`, \`grammar/schema/arrays\` | \`grammar/schema/hostile\` |
| readings of a text that one byte begins; memory of the automaton of a grammar | ${count(MAX_STEP_FRAMES)}, at most by one node more; ${MAX_AUTOMATON_BYTES / 2 ** 20} MiB | – | the readings with the longest ways to an end are dropped; the automaton begins again | \`grammar/matching/stack/steps\`, \`grammar/matching/grammar\` | \`grammar/matching/ambiguous\` |
| \`minLength\`, \`minItems\`, \`minProperties\`, \`minContains\` | ${count(MAX_LEAST)} | – | 400 \`SCHEMA_TOO_COMPLEX\` | \`grammar/schema/facts\` | \`grammar/schema/hostile\` |
| states of a \`pattern\` or a \`format\` times \`maxLength\` | ${count(MAX_COPIED_STATES)} | – | the output has no longer string | \`grammar/schema/scalars\` | \`grammar/schema/lengths\` |
| digits of a number before its point; after it, without bounds | ${MAX_INTEGER_DIGITS}, more if a bound is longer; ${MAX_FRACTION_DIGITS} | – | the output has no longer number | \`grammar/regular/number\` | \`grammar/regular/number\` |
| \`multipleOf\` without its power of ten | ${count(MAX_FACTOR)} | – | 400 | \`grammar/regular/number\` | \`grammar/regular/number\` |
| sets of arguments that \`dependentRequired\` makes, in calls of Python, Gemma and tags; name of an argument that the schema does not list | ${MAX_VARIANTS}; ${MAX_FREE_NAME} characters | – | 400 \`SCHEMA_TOO_COMPLEX\`, or any arguments for a tool that is not strict; the output has no longer name | \`text/tools/constraint/ordered\`, \`text/tools/constraint/notations\` | \`text/tools/constraint/refused-calls\` |
| form that the event loop compiles, as JSON with the tools of the request; its time there | ${count(LOOP_SOURCE_UNITS)} UTF-16 units; ${LOOP_COMPILE_MS} ms | – | the thread compiles it | \`text/grammar/grammar-compiler\` | \`text/grammar/grammar-compiler\` |
| time of the thread for one form; its heap | ${seconds(COMPILE_THREAD_LIMITS.jobMs)}; ${count(COMPILE_THREAD_LIMITS.heapMb)} MiB | – | 400 \`SCHEMA_TOO_COMPLEX\`, \`grammar.thread_replaced\`; other forms continue | \`text/grammar/compile-thread\` | \`text/grammar/grammar-compiler\` |
| start of the thread; time without a form until it ends | ${seconds(COMPILE_THREAD_LIMITS.startMs)}; ${seconds(COMPILE_THREAD_LIMITS.idleMs)} | – | 500; the next form starts another one | \`text/grammar/compile-thread\` | \`text/grammar/grammar-compiler\` |
| shorter forms that go before a waiting one | ${MAX_OVERTAKEN} | – | the oldest form is next | \`text/thread/job-thread\` | \`text/thread/encode-thread\` |
| grammars that the worker keeps | ${CACHE_BOUNDS.count}, ${bytes(CACHE_BOUNDS.bytes)} together | – | the one that was used longest ago is compiled again | \`text/grammar/grammar-cache\` | \`text/grammar/grammar-cache\` |
| place in an error; reported keywords without an effect | ${MAX_PLACE_UNITS} UTF-16 units; ${MAX_REPORTED} | – | cut; not reported | \`text/grammar/place\`, \`text/grammar/compile-source\` | \`jobs/grammar\` |

## Inside

| what | bound | set by | beyond it | code | test |
|---|---|---|---|---|---|
| spans that wait for their export ([traces](traces.md)); their texts together; those of one request | 2,048; ${count(MAX_QUEUE_CHARS)}; ${count(MAX_BATCH_CHARS)} characters | \`OTEL_BSP_MAX_QUEUE_SIZE\` | the newest are dropped and counted | \`telemetry/traces/span-queue\` | \`telemetry/traces/span-queue\`, \`telemetry/traces/exporter\` |
| outputs of a request with spans of their own | ${MAX_TRACED_OUTPUTS} | – | \`rbees.outputs_without_spans\` | \`telemetry/traces/request-trace\` | \`telemetry/traces/request-trace\` |
| reports of dropped spans | one in ${seconds(DROP_REPORT_MS)} | – | counted in the next report | \`commands/serve/traces\` | \`e2e/traces/receiver\` |
| steps between engine and request | the tokens of the job; the loop of a request never waits for a subscriber | – | – | \`bridge/sequence-inbox\` | \`jobs/forced-faults\` |
| unread log lines | ${bytes(MOST_PENDING)} | – | dropped, and counted in \`stdout.lines_lost\` | \`narration/backlog\` | \`narration/backlog\` |
| sentences | ${LIMITS.human} characters, ${LIMITS.warning} at WARN and above, ${LIMITS.cute} and ${LIMITS.story} for \`cute\` and \`story\`; ${LIMITS.field} for a field, ${FIELDS.reason.limit} for \`reason\` | – | cut at a whole character; \`--log-format pretty\` and \`ask\` print the whole reason | \`narration/entry\`, \`narration/fields\` | \`contract/narration-limits\`, \`narration/narrate\` |
| text that patterns are applied to | ${count(LONGEST_INPUT)} characters | – | cut first | \`narration/sanitize\` | \`narration/sanitize\` |
| starts of an engine process without resources for it | ${MAX_SHORTAGES} in a row, about seven minutes | – | \`engine.not_started\`, then a loss | \`lifecycle/engine-supervisor\` | \`e2e/lifecycle/descriptors\` |
| losses of the engine that no request has caused | ${MAX_LOSSES} in ${LOSS_WINDOW_MS / 60_000} minutes | – | exit 1 | \`lifecycle/engine-supervisor\` | \`e2e/engine/engine-lost\` |
| losses in a row in which a request ran; progress that ends the row | 2; ${PROVEN_IDS} tokens | \`--on-engine-loss\` | it runs alone; it ends with \`ENGINE_LOST\` if the engine is lost then | \`bridge/suspects\` | \`bridge/suspects\`, \`e2e/engine/suspects\` |
| time for the ready callback | ${setting('callback-give-up')} s; one attempt if the certificate is not accepted or the answer is 410 | \`--callback-give-up\` | exit 1; \`callback.abandoned\` if the pool-manager has accepted an earlier announcement | \`lifecycle/callback/ready-callback\` | \`lifecycle/ready-callback\`, \`e2e/lifecycle/callback-retries\` |
| an attempt of the ready callback; delay before the first one; delay between two | ${seconds(CALLBACK_TIMES.answerMs)}; up to ${seconds(CALLBACK_TIMES.spreadMs)}; ${seconds(CALLBACK_TIMES.firstDelayMs)}, doubling up to ${seconds(CALLBACK_TIMES.longestDelayMs)}, or \`Retry-After\` up to ${seconds(CALLBACK_TIMES.longestDelayMs)} | – | the next attempt | \`lifecycle/callback/ready-callback\` | \`lifecycle/ready-callback\`, \`protocol/backoff\` |
| announcements that \`POST /announce\` and SIGUSR2 ask for | one at a time, one in ${seconds(ANNOUNCE_SPACING_MS)} | – | requests share the next one | \`lifecycle/callback/announcer\` | \`lifecycle/announcer\` |
| descriptor of \`--ready-fd\` | ${READY_FD.least} to ${READY_FD.most}, an inherited pipe, socket or file | \`--ready-fd\` | exit 2 | \`config/host/ready-descriptor\` | \`e2e/lifecycle/ready-fd\` |
| event loop that does not answer a request to stop; a second one | ${seconds(MAX_LOOP_SILENCE_MS)}; ${seconds(MAX_LOOP_SILENCE_FORCED_MS)} | – | the watchdog interrupts it, exit 1; after ${seconds(MAX_INTERRUPT_MS)} more SIGKILL | \`lifecycle/watchdog\` | \`e2e/lifecycle/watchdog\` |
| threads on the CPU | ${count(MAX_THREADS)}; \`auto\`: the cores and the CPU quota of the process | \`--threads\` | exit 2 | \`config/settings\`, \`engine/host/cpu-threads\` | \`e2e/host/threads\`, \`engine/host/control-groups\` |
| open files that the thread of the watchdog needs | a limit of at least ${LEAST_OPEN_FILES} | \`ulimit -n\` | \`watchdog.missing\`; the worker runs without it | \`lifecycle/watchdog\` | \`e2e/lifecycle/descriptors\` |
| address space of a process (\`ulimit -v\`) | at least ${bytes(MIN_ADDRESS_SPACE)} | – | exit 2 | \`config/host/address-space\` | \`e2e/host/address-space\`, \`config/address-space\` |
| unknown settings that are reported | ${MAX_UNKNOWN} | – | counted in \`unknown_settings\` | \`config/unknown-settings\` | \`config/unknown-settings\` |
| wait for the writer of a named pipe with settings | ${seconds(MAX_PIPE_MS)} | – | exit 2 | \`config/settings-file\` | \`config/settings-encodings\` |
| file of settings | ${bytes(MAX_SETTINGS_FILE_BYTES)} | – | exit 2 | \`config/settings-file\` | \`config/settings\` |
| memory of the cache | half of the memory that is free besides the model, and two full contexts for each slot at most; taken as it is used. CUDA, CPU of Windows: slots × context, allocated at the start | \`--cache-memory\`, \`--slots\` | the tokens of a slot are fewer: \`cache.limited\` at the start, \`413 PROMPT_TOO_LONG\` | \`engine/load/memory-plan\`, \`engine/ort/cache/in-place\` | \`engine/load/memory-plan\`, \`engine/ort/cache/in-place\` |
| rows of the cache that only store prefixes | ${storedRows('pages')}, and none where all rows are allocated at once or grow with each run | – | – | \`engine/ort/cache/growth\` | \`engine/load/memory-plan\` |
| tokens of one run of a prompt | ${MAX_CHUNK}, and at most ${seconds(LONGEST_MS)} | \`--prefill-chunk\` | the next chunk | \`engine/runner\`, \`engine/prefill-budget\` | \`engine/prefill-budget\` |
| logits of a run that scores a prompt | ${MAX_SCORED_POSITIONS} positions, ${bytes(MAX_SCORED_BYTES)} of float32; allocated at the first such request | – | the next chunk | \`engine/ort/session\` | \`engine/prompt-scores\` |
| states of the automaton that runs one grammar; its remembered masks | ${count(MAX_AUTOMATON_STATES)}; ${bytes(MAX_MASK_BYTES)} | – | the states are made again when the text needs them; the oldest masks are computed again | \`grammar/matching/grammar\`, \`grammar/matching/masks\` | \`grammar/matching/masks\` |
| grammars that the engine keeps | ${MAX_GRAMMARS}, and ${bytes(MAX_GRAMMAR_BYTES)} by their own estimates; grammars of running sequences in any case | – | the least recently used is dropped, and built again when it is needed | \`engine/sampling/grammars\` | \`engine/sampling/grammars\` |
| alternatives of a token of the prompt | ${MAX_PROMPT_LOGPROBS} | – | the sequence fails | \`engine/check-request\` | \`engine/prompt-scores\` |
| labels of metrics | names of events, outcomes and error codes, and of the model | – | never a job or correlation id | \`telemetry/counts\`, \`telemetry/vllm/aliases\` | \`contract/narration-limits\` |

## The engine process

| what | bound | set by | beyond it | code | test |
|---|---|---|---|---|---|
| silence of an open engine | ${setting('step-timeout')} s | \`--step-timeout\` | it is killed, \`engine.lost\` | \`bridge/heartbeat\` | \`e2e/engine/engine-hangs\`, \`bridge/heartbeat\` |
| silence of a stalled engine | ${setting('stall-after')} s, or ${STALL_STEPS} of its longest steps if that is more; a step raises it at most ${MAX_STALL_GROWTH} times, all steps to ${MAX_STALL_SHARE * 100} % of \`--step-timeout\` | \`--stall-after\` | \`engine.stalled\`, 503 \`ENGINE_STALLED\` until its next message | \`bridge/stall-threshold\`, \`bridge/heartbeat\` | \`bridge/stall-threshold\`, \`e2e/engine/engine-stalled\` |
| interval in which an idle engine says that it lives | ${seconds(ALIVE_MS)}, or four fifths of \`--stall-after\` or \`--step-timeout\` if that is less | – | – | \`bridge/heartbeat\` | \`bridge/heartbeat\`, \`engine/process\` |
| wait for the end of a killed engine | ${seconds(KILL_MS)} | – | it counts as lost | \`bridge/child\` | \`bridge/child\` |
| the first load | none: SIGTERM, \`/shutdown\` or a closed stdin ends it | – | – | \`commands/serve/worker\` | \`e2e/lifecycle/drain\` |
| a restart | ${RESTART_FACTOR} times the first load, plus \`--step-timeout\` | \`--step-timeout\` | another loss | \`lifecycle/engine-supervisor\` | \`bridge/child\` |
| narrated lines of the runtime | ${MAX_WARNINGS} per engine | – | not narrated | \`lifecycle/engine-supervisor\` | \`e2e/engine/engine-last-words\` |
| last output of a lost engine | ${bytes(STDERR_TAIL)} kept and reported | – | earlier output is left out | \`bridge/child\` | \`e2e/engine/engine-last-words\` |
| a cancel that the engine does not confirm | ${seconds(CANCEL_MS)} | – | the stream ends without it, \`cancel.unconfirmed\` | \`bridge/submissions\` | \`e2e/engine/engine-hangs\` |
| sequences left in a silent engine | slots + queue | \`--slots\`, \`--queue\` | 503 \`ALL_SLOTS_BUSY\` | \`jobs/admission\` | \`e2e/engine/engine-hangs\` |
| an engine that closes | ${seconds(CLOSE_CHILD_MS)}, and ${seconds(KILL_MS)} more when killed; in a drain two thirds and one third of the time of its close | \`--shutdown-timeout\` | SIGKILL; then the worker does not wait for it | \`bridge/child\` | \`e2e/lifecycle/drain-budget\`, \`bridge/child\` |
| a drain, from the request to stop to the end of the process | ${setting('shutdown-timeout')} s | \`--shutdown-timeout\` | the process ends; no stage can delay it | \`commands/serve/drain-budget\`, \`commands/serve/serve\` | \`e2e/lifecycle/drain-budget\` |
| stages of a drain after the running jobs: last events; close of the server and the engine; last lines; end of the process | ${seconds(LAST_STAGES_MS.cancel)}; ${seconds(LAST_STAGES_MS.close)}; ${seconds(LAST_STAGES_MS.flush)}; ${seconds(LAST_STAGES_MS.exit)}; in proportion, if they exceed ${MAX_LAST_SHARE * 100} % of the timeout | \`--shutdown-timeout\` | connections are cut, the engine is killed, lines are lost | \`commands/serve/drain-budget\` | \`commands/serve/drain-budget\` |
| wait for the reader of stdout at the end | the rest of the shutdown timeout, at least ${seconds(FORCED_FLUSH_MS)}; ${seconds(IDLE_FLUSH_MS)} without progress, ${seconds(LONGEST_FLUSH_MS)} in total; ${seconds(FORCED_FLUSH_MS)} when forced | \`--shutdown-timeout\` | the lines are lost; one line on stderr reports it | \`narration/backlog\`, \`commands/serve/serve\` | \`narration/backlog\`, \`e2e/lifecycle/drain-budget\`, \`e2e/lifecycle/log-target.long\` |
| weights, cache, logits and work of a model | the free memory of its device, without the reservations of other workers of the user | \`--cache-memory\`, \`--slots\`, \`--context\` | exit 1 before the load, with the sum | \`engine/load/memory-plan\` | \`engine/load/memory-plan\`, \`engine/devices/devices\` |
| plan that is not reserved | ${NEGLIGIBLE_SHARE * 100} % of the free memory | – | it is reserved until the engine ends | \`engine/load/reserved-plan\` | \`engine/load/reserved-plan\`, \`e2e/host/several-workers\` |
| wait for the lock of the reservations | ${seconds(MAX_LOCK_MS)} | – | the plan ignores other workers: \`memory.unreserved\` | \`engine/host/reservations\` | \`engine/host/reservations\` |
| file of a reservation | ${bytes(MAX_RESERVATION_BYTES)} | – | it counts for nothing | \`engine/host/reservations\` | \`engine/host/reservations\` |
| expected time to compare a GPU with the CPU at the load | ${seconds(MAX_CPU_CHECK_MS)} | – | no comparison | \`engine/load/cpu-check\` | \`engine/load/cpu-check\` |
| tokens of one run on a GPU | the longest run that was checked to be correct, of ${PROBES.join(' and of ')} | – | shorter runs | \`engine/load/numeric-check\` | \`engine/load/numeric-check\`, \`engine/devices/decoding.webgpu\` |
| sequences that wait for the next engine | the length of the queue | \`--queue\` | new ones are refused: 503 | \`bridge/submissions\` | \`e2e/engine/engine-queue.long\` |

## An \`ask\`

| what | bound | set by | beyond it | code | test |
|---|---|---|---|---|---|
| standard input | ${bytes(MAX_STDIN_BYTES)} | – | exit 2 | \`commands/ask/arguments/stdin-text\` | \`e2e/command-line/ask\` |
| conversation of a chat and of \`--continue\` | the last ${MAX_MESSAGES} messages | – | the model gets no earlier ones | \`commands/ask/state/conversation\` | \`commands/ask/conversation\` |
| history of the chat | ${MAX_HISTORY} questions | – | the oldest are dropped | \`commands/ask/state/history\` | \`commands/ask/conversation\` |
| end of the stream of a cancelled job | ${seconds(CANCEL_WAIT_MS)} | – | the connection is closed | \`commands/ask/worker/ask-once\` | \`e2e/command-line/ask-terminal\` |

## A pull

| what | bound | set by | beyond it | code | test |
|---|---|---|---|---|---|
| answer of the API of the hub; pages of a list | ${bytes(MAX_RESPONSE_BYTES)}; ${MAX_PAGES} of 1 000 files | – | exit 1 | \`model/hub/connection\`, \`model/hub/repository\` | \`model/hub/repository\` |
| a file | its length and checksum in the list | – | a file that is too long or wrong is thrown away; after two tries, exit 1 | \`model/hub/transfer\` | \`model/hub/transfer\`, \`e2e/hub/pull-interrupted.long\` |
| tries without progress; tries in total; silence | ${RETRY_POLICY.tries}; ${MAX_TRIES}; ${seconds(RETRY_POLICY.stallMs)} | – | exit 1; the partial file stays for the next pull | \`model/hub/connection\`, \`model/hub/transfer\` | \`model/hub/transfer\` |
| wait that the hub asks for with \`Retry-After\` or \`RateLimit\` | ${seconds(RETRY_POLICY.longestRetryAfterMs)} | – | exit 1 | \`model/hub/network/wait-headers\` | \`model/hub/wait-headers\`, \`e2e/hub/pull-limited\` |
| file with the token of the hub | ${bytes(MAX_TOKEN_FILE_BYTES)}, a regular file | \`HF_TOKEN_PATH\` | exit 2 if \`HF_TOKEN_PATH\` names it, otherwise a warning | \`config/network/hub-token\` | \`config/hub-token\` |
| redirects | ${MAX_REDIRECTS}, never from https to http | – | exit 1 | \`model/hub/connection\` | \`model/hub/transfer\` |
| rate of a transfer and of an answer of the API | ${bytes(RETRY_POLICY.leastBytes)} in ${seconds(RETRY_POLICY.rateWindowMs)} | – | a try without progress | \`model/hub/transfer-watch\` | \`model/hub/transfer\`, \`model/hub/repository\` |
| addresses that a public hub leads to | public ones, checked for every connection; through a proxy, those that a URL names | \`HF_ENDPOINT\` | exit 1 | \`model/hub/addresses\` | \`model/hub/addresses\` |
| lock without news; lock from the future | ${seconds(LOCK_TIMES.staleMs)}; ${seconds(LOCK_TIMES.skewMs)} | – | one waiting pull takes over | \`model/hub/lock\` | \`model/hub/lock\` |
| files that every pull checks | up to ${bytes(MAX_QUICK_CHECK_BYTES)} | \`pull --verify\`: all | downloaded again | \`commands/pull/verifier\` | \`e2e/hub/pull-verify\` |
| files of a model folder; size of a JSON file | regular files in the folder, or in \`blobs/\` of a hub cache; ${bytes(MAX_JSON_BYTES)}, a tokenizer ${bytes(MAX_TOKENIZER_BYTES)} | – | exit 1, \`model.problem\` | \`model/folder-files\` | \`model/links\` |
| differences between files about tokens that are reported with their texts | ${MAX_DIFFERENCES}, 40 characters of a token | – | only counted | \`model/spec/merged-tokens\` | \`model/tokens\` |
| \`genai_config.json\`, which names the weights | ${bytes(MAX_CONFIG_BYTES)} | – | exit 1 | \`commands/pull/named-weights\` | \`e2e/hub/pull-refused\` |
| checkpoint: header of a file; all headers; index; tensors; files | ${bytes(HEADER_LIMITS.bytes)}; ${bytes(HEADER_LIMITS.allBytes)}; ${bytes(MAX_JSON_BYTES)}; ${count(HEADER_LIMITS.tensors)}; ${count(MAX_SHARDS)} | – | exit 1, \`model.problem\` | \`model/checkpoint/safetensors\`, \`model/checkpoint/shards\` | \`model/checkpoint/hostile\` |
| checkpoint: levels of config.json; tables of the rotary embeddings | ${MAX_CONFIG_DEPTH}; ${bytes(MAX_TABLE_BYTES)} | \`--context\` | exit 1 | \`model/checkpoint/read-decoder\` | \`model/checkpoint/weights\` |
| checkpoint: name of a tensor; its dimensions | ${HEADER_LIMITS.name} bytes; ${HEADER_LIMITS.rank} | – | exit 1, \`model.problem\` | \`model/checkpoint/safetensors\` | \`model/checkpoint/hostile\` |
| GGUF: headers of all files; entries; one text; elements of all arrays; tensors; files | ${bytes(GGUF_LIMITS.allBytes)}; ${count(GGUF_LIMITS.entries)} a file; ${bytes(GGUF_LIMITS.text)}; ${count(GGUF_LIMITS.elements)}; ${count(GGUF_LIMITS.tensors)}; ${count(GGUF_LIMITS.files)} | – | exit 1, \`model.problem\` | \`model/checkpoint/gguf/header-bytes\` | \`model/checkpoint/gguf/hostile\` |
| GGUF: key or name; arrays inside of arrays, levels; dimensions; factors of a rotary embedding | ${GGUF_LIMITS.name} bytes; ${count(GGUF_LIMITS.nested)}, ${GGUF_LIMITS.depth}; ${GGUF_LIMITS.rank}; ${bytes(GGUF_LIMITS.factors)} | – | exit 1, \`model.problem\` | \`model/checkpoint/gguf/header-bytes\` | \`model/checkpoint/gguf/hostile\` |

## Synchronous work of one request

The event loop of the worker answers probes and streams. No request holds it longer than 50 ms at the default limits.
The figures are processor time of the longest turn of the event loop, with the client of the test in the same process
(best of 15 runs, Node 20, two shared cores).

| what | input at the limit | worst measured | bound by | code | test |
|---|---|---|---|---|---|
| headers, correlation id, trace | 16 KiB: 2 000 headers, one header 1 900 times, one long header | 2.2 ms | \`HEADER_BYTES\` | \`http/connections\`, \`http/correlation\` | \`loop/requests\` |
| origin and \`Host\` | 16 KiB of colons, brackets, digits; 32 origins | 0.8 ms | \`HEADER_BYTES\`, \`MAX_ORIGINS\` | \`http/origin\` | \`loop/requests\` |
| path and query | 16 KiB; a job id of 3 072 bytes; 2 700 parameters | 1.5 ms | \`HEADER_BYTES\`, \`MAX_PARAMETER_CHARS\` | \`http/server\` | \`loop/requests\` |
| \`Last-Event-ID\`, \`X-Deadline\`, \`Accept\`, \`Content-Type\`, \`If-None-Match\` | 16 KiB | 1.7 ms | \`HEADER_BYTES\` | \`http/native/job-events\`, \`http/native/order\` | \`loop/requests\` |
| UTF-8 of a body, and the first byte that is not | 2 MiB of emoji; of replacement characters before a wrong byte | 2.5 ms | body limit | \`http/body/body-text\` | \`loop/bodies\`, \`http/body/body-text\` |
| pass over the structure of a body | 2 MiB of quotes, backslashes, brackets, spaces, numbers | 17 ms | body limit, \`MAX_LEVELS\`, \`MAX_KEYS\`, \`MAX_KEY_LEVELS\`, \`MAX_VALUES\` | \`http/body/json-body\` | \`loop/bodies\` |
| \`JSON.parse\` and search for prototypes | 2 MiB: 65 536 numbers; 32 768 lists beside \`constructor\`; escapes; long keys and numbers | 27 ms, with the pass | the same | \`http/body/json-body\` | \`loop/bodies\` |
| the longest prompt: decoding, pass, \`JSON.parse\`, validation | 2 MiB of escaped quotes, escaped surrogates, Chinese characters, emoji | 35 ms | \`AUTO_TEXT_BYTES\`, \`AUTO_PROMPT_CHARS\` | \`http/server\`, \`contract/execute\` | \`loop/long-prompts\` |
| comparing the longest prompt with the context | 2 097 152 characters, 15 families | 8 ms, in a turn of its own | \`COUNTED_UNITS\` | \`text/tokenizer/least-tokens\`, \`jobs/admission\` | \`loop/text\` |
| validation, error body, narration of the violations (JSON or events) | 256 wrong messages, 60 000 wrong stop strings, a job id or a stop string of 2 MiB, every field wrong | 27 ms | \`MAX_LIST\`, \`FIXED_LIMITS\`, \`LONGEST_INPUT\` | \`http/validate\`, \`http/native/errors\` | \`loop/bodies\` |
| narration of unknown fields: secrets, invisible characters, cut | 1 000 names of 420 bytes of joiners, tags, marks, flags, secrets | 6.9 ms | \`MAX_KEYS\`, \`LONGEST_INPUT\` | \`narration/sanitize\`, \`narration/narrate\` | \`loop/bodies\` |
| body of \`/v1/messages\` | \`MAX_ELEMENTS\` wrong blocks; the longest text | 30 ms | \`MAX_ELEMENTS\`, body limit | \`http/anthropic/order\` | \`loop/anthropic\` |
| bodies of OpenAI's routes; lists of \`/tokenize\` | 65 000 wrong elements of any list, 3 900 wrong items, 7 000 wrong entries; the longest text | 39 ms | \`MAX_ELEMENTS\`, \`MAX_BROKEN\`, \`MAX_VIOLATIONS\`, body limit | \`http/dialect/check\`, \`contract/openai/chosen-form\` | \`loop/openai\` |
| \`/detokenize\`: reading, decoding and sending ids; turns of \`/tokenize\` | ${count(MAX_IDS)} ids | 26 ms | \`MAX_IDS\`, ${IDS_PER_TURN} ids in a turn | \`http/tokenizer/decode-ids\` | \`loop/anthropic\` |
| body of \`/cancel\` | a job id or an unknown field of 2 MiB | 17 ms | body limit | \`http/native/cancel\` | \`loop/requests\` |
| chat template | any template; messages of 16 384 units | 35 ms | \`LOOP_RENDER\`, \`LOOP_MESSAGE_UNITS\`; then the thread | \`text/tokenizer/tokenizer\` | \`loop/text\` |
| tokenizer | 2 000 units for 15 families; then the thread | 32 ms | \`LOOP_UNITS\`, \`LOOP_STAGE_UNITS\` | \`text/tokenizer/tokenizer\` | \`loop/text\` |
| stop strings | 4 of 99 characters that almost match everywhere in 65 000 characters | 8.5 ms | \`FIXED_LIMITS\` | \`text/output/stop-strings\` | \`loop/streams\` |
| detokenizer and pieces of a job | 2 048 tokens without a whole character | 0.8 ms | a window of 64 tokens, \`MAX_PENDING_TOKENS\` | \`text/output/detokenizer\`, \`text/output/output-text\` | \`loop/streams\` |
| the event of a token with 20 alternatives, and of 512 waiting tokens | 460 KB | 7.8 ms | \`FIXED_LIMITS\`, \`MAX_PENDING_TOKENS\` | \`http/sse\`, \`jobs/event-log\` | \`loop/streams\` |
| that event for 16 subscribers | 16 × 460 KB | 18 ms | \`MAX_SUBSCRIBERS\` | \`jobs/subscribers\` | \`loop/streams\` |
| replay of a full log | 2 MiB, 16 subscribers at once | 11 ms | \`CHUNK_BYTES\` in a turn for each subscriber | \`jobs/subscriber\` | \`loop/streams\` |
| trim of a full log; drop of 7 000 short logs for a long one | 2 MiB | 8.5 ms | \`--replay-memory\` | \`jobs/event-log\`, \`jobs/registry\` | \`loop/streams\` |
| \`/metrics\` | every metric with a value | 1.2 ms, at most once in 100 ms | \`SCRAPE_MS\` | \`http/operator/metrics\`, \`telemetry/metrics\` | \`loop/requests\`, \`loop/streams\` |
| \`/openapi.yaml\`, \`/openapi.json\` | 127 KB, made by \`npm run generate\` | 0.4 ms | – | \`http/operator/openapi\` | \`loop/requests\` |
| \`GET /jobs\` | 10 000 finished jobs, 1 000 of them in the answer, with the longest ids | 15 ms | \`LISTED\`, \`MAX_KEPT\` | \`http/operator/jobs\`, \`jobs/registry\` | \`loop/jobs\` |
| \`/health\`, \`/live\`, \`/ready\`, preflight | – | 0.7 ms | – | \`http/operator/health\`, \`http/origin\` | \`loop/requests\` |
| a line of the log | 20 fields of 256 characters, queue full | 0.1 ms | \`LIMITS\`, \`MOST_PENDING\` | \`narration/stdout\`, \`narration/backlog\` | \`loop/streams\` |
| requests that arrive at once on one connection | 2 500 in one chunk of 64 KiB | 1.3 ms | \`MAX_WAITING_REQUESTS\` | \`http/connections/pipeline\` | \`e2e/connections/pipelining\` |
`;
}

/** The default of a setting. */
const setting = (name: SettingName): string => {
  const row = SETTINGS[name];
  return 'fallback' in row ? count(Number(row.fallback)) : '';
};

/** Digits in groups of three. */
function count(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ' ');
}

/** A size in the largest unit that gives a whole number. */
function bytes(value: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB'];
  let [size, unit] = [value, 0];
  while (size % 1024 === 0 && unit + 1 < units.length) [size, unit] = [size / 1024, unit + 1];
  return `${count(size)} ${units[unit]}`;
}

/** A time in seconds, without a fraction where there is none. */
const seconds = (ms: number): string => `${ms / 1000} s`;
