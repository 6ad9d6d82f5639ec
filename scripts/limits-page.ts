/**
 * Makes docs/limits.md: each limit with its figure, which comes from the constant or the setting in the code.
 */
import { CLOSE_MS as CLOSE_CHILD_MS, KILL_MS, STDERR_TAIL } from '../src/bridge/child.ts';
import { CANCEL_MS } from '../src/bridge/client.ts';
import { PING_MS } from '../src/bridge/heartbeat.ts';
import { MAX_CONFIG_BYTES } from '../src/commands/pull/pull.ts';
import { LAST_EVENTS_MS } from '../src/commands/serve/drain.ts';
import { FORCED_FLUSH_MS } from '../src/commands/serve/serve.ts';
import { MAX_ORIGINS, SETTINGS, type SettingName } from '../src/config/settings.ts';
import { FIXED_LIMITS } from '../src/contract/execute.ts';
import { MAX_AUTO_SLOTS } from '../src/engine/load/memory-plan.ts';
import { PROBES } from '../src/engine/load/numeric-check.ts';
import { LONGEST_MS } from '../src/engine/prefill-budget.ts';
import { MAX_CHUNK } from '../src/engine/runner.ts';
import { CLOSE_MS } from '../src/http/connections/broken-http.ts';
import { HEADER_BYTES, IDLE_MS, KEEP_ALIVE_MS, SOCKET_BYTES } from '../src/http/connections.ts';
import { MAX_CORRELATION_CHARS } from '../src/http/correlation.ts';
import { MAX_LEVELS } from '../src/http/json-body.ts';
import { bodyLimit, MAX_PARAMETER_CHARS } from '../src/http/server.ts';
import { MAX_LIST } from '../src/http/validate.ts';
import { MAX_REMEMBERED, MIN_LOG_BYTES } from '../src/jobs/registry.ts';
import { CAUGHT_UP_BYTES, MAX_SUBSCRIBERS, SHED_BYTES, STALLED_BYTES } from '../src/jobs/subscribers.ts';
import { LOSS_WINDOW_MS, MAX_LOSSES, MAX_WARNINGS, RESTART_FACTOR } from '../src/lifecycle/engine-supervisor.ts';
import { ANSWER_MS, ATTEMPTS } from '../src/lifecycle/ready-callback.ts';
import { MAX_REDIRECTS, MAX_RESPONSE_BYTES, RETRY_POLICY } from '../src/model/hub/connection.ts';
import { MAX_PAGES } from '../src/model/hub/repository.ts';
import { MAX_TRIES } from '../src/model/hub/transfer.ts';
import { IDLE_FLUSH_MS, LONGEST_FLUSH_MS, MOST_PENDING } from '../src/narration/backlog.ts';
import { LIMITS } from '../src/narration/narrate.ts';
import { LONGEST_INPUT } from '../src/narration/sanitize.ts';

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
| body | ${bytes(bodyLimit(0))} + ${bodyLimit(1) - bodyLimit(0)} bytes per character of a prompt | \`--max-prompt-chars\` | 413 \`PAYLOAD_TOO_LARGE\` | \`http/server\` | \`e2e/api/validation\`, \`e2e/api/smuggling\` (chunked) |
| depth of a body | ${MAX_LEVELS} levels | – | 400 \`INVALID_REQUEST\` | \`http/json-body\` | \`e2e/api/intruders\` |
| prompt, or all messages together | ${setting('max-prompt-chars')} characters | \`--max-prompt-chars\` | 400, with all violations | \`contract/execute\` | \`e2e/api/validation\` |
| prompt, in tokens | context − 1 | \`--context\` | 413 \`PROMPT_TOO_LONG\` with both numbers; the engine never receives it | \`jobs/prompt\` | \`e2e/engine/context-limit\` |
| messages; stop strings | ${FIXED_LIMITS.messages}; ${FIXED_LIMITS.stops} of ${FIXED_LIMITS.stopChars} characters | – | 400 | \`contract/execute\` | \`http/validate\` |
| elements of a list that are validated | ${count(MAX_LIST)} | – | 400, once | \`http/validate\` | \`http/validate\`, \`e2e/api/intruders\` |
| job id; correlation id | ${FIXED_LIMITS.jobIdChars} characters; ${MAX_CORRELATION_CHARS} of \`A-Za-z0-9._-\` | – | 400; the worker makes a new one | \`contract/execute\`, \`http/correlation\` | \`e2e/api/validation\`, \`e2e/api/correlation\` |
| job id in a path | ${count(MAX_PARAMETER_CHARS)} bytes, percent-encoded | – | 400 | \`http/server\` | \`e2e/streams/replay\` |
| origins of pages | ${MAX_ORIGINS} | \`--cors-origin\` | exit 2 | \`config/settings\` | \`e2e/api/cors\` |

## Connections

| what | bound | set by | beyond it | code | test |
|---|---|---|---|---|---|
| connections | ${setting('max-connections')} | \`--max-connections\` | closed at once, \`connections.refused\` | \`http/connections\` | \`e2e/api/smuggling\` |
| time for a request to arrive; for its headers | ${setting('arrival-timeout')} s; a third of it | \`--arrival-timeout\` | 408 | \`http/connections\` | \`e2e/api/smuggling\` |
| silence between two requests | ${seconds(KEEP_ALIVE_MS)} | – | closed | \`http/connections\` | \`contract/limits\` |
| silence of a peer that the answer waits for | ${seconds(IDLE_MS)} + slow-timeout | \`--slow-timeout\` | closed: the subscriber has left | \`http/connections\` | \`contract/limits\` |
| buffer of a socket | ${bytes(SOCKET_BYTES)} | – | its subscriber waits | \`http/connections\`, \`jobs/subscriber\` | \`bench/stalled-readers.mjs\` |
| a peer that does not speak HTTP | ${seconds(CLOSE_MS)} after the error answer | – | closed | \`http/connections\` | \`e2e/api/intruders\` |

## Jobs

| what | bound | set by | beyond it | code | test |
|---|---|---|---|---|---|
| jobs in flight | slots + queue | \`--slots\`, \`--queue\` | 503 \`ALL_SLOTS_BUSY\`, \`Retry-After\` | \`jobs/admission\` | \`e2e/engine/queue\` |
| time of a request | ${setting('request-timeout')} s | \`--request-timeout\`, \`timeout_ms\`, \`X-Deadline\` | \`error TIMEOUT\`; 504 before the stream | \`jobs/admission\` | \`e2e/api/deadlines\` |
| tokens of an output | ${setting('max-tokens-cap')}, and the rest of the context | \`--max-tokens-cap\`, \`--context\` | 400; \`end\` with \`max_tokens\` | \`jobs/prompt\` | \`e2e/api/validation\`, \`e2e/engine/context-limit\` |
| log-probabilities of a token | ${FIXED_LIMITS.logprobs} | – | 400 | \`contract/execute\` | \`e2e/api/validation\` |
| text held back for a stop string | the longest stop string | – | – | \`text/output/stop-strings\` | \`text/output/stop-strings\` |
| time to finish at a stop | ${setting('shutdown-timeout')} s | \`--shutdown-timeout\` | \`error DRAINING\` | \`commands/serve/drain\` | \`e2e/lifecycle/drain\` |

## Streams and their subscribers

| what | bound | set by | beyond it | code | test |
|---|---|---|---|---|---|
| subscribers of one job | ${MAX_SUBSCRIBERS} | – | 429 \`TOO_MANY_READERS\`: disconnect one of them, or retry when one has left | \`jobs/subscribers\` | \`jobs/subscribers\`, \`e2e/streams/many-subscribers.long\` |
| unread bytes of every subscriber, before narration and metrics are dropped | ${bytes(SHED_BYTES)} | – | \`reader.slow\`, \`shed\` | \`jobs/subscribers\` | \`jobs/subscribers\`, \`e2e/streams/slow-subscribers\` |
| unread bytes of every subscriber, before the generation pauses | ${bytes(STALLED_BYTES)}, continues at ${bytes(CAUGHT_UP_BYTES)} | – | \`generation.paused\`, \`generation.resumed\` | \`jobs/subscribers\` | \`jobs/subscribers\`, \`e2e/streams/slow-subscribers\`, \`engine/pausing\` |
| time in which a stalled subscriber reads nothing | ${setting('slow-timeout')} s | \`--slow-timeout\` | \`error SLOW_CONSUMER\`; if the job has other subscribers, or continues without one, only the connection is closed (\`reader.dropped\`) | \`jobs/subscribers\` | \`jobs/subscribers\`, \`e2e/streams/slow-subscribers\` |
| time a job continues without a subscriber (\`on_disconnect\`) | ${setting('detach-timeout')} s | \`--detach-timeout\` | \`error CANCELLED\` | \`jobs/subscribers\` | \`jobs/subscribers\`, \`e2e/streams/replay\` |
| log of a running job | half of the memory ÷ slots, ${bytes(MIN_LOG_BYTES)} at least (${bytes(REPLAY_BYTES / 2 / MAX_AUTO_SLOTS)} with ${MAX_AUTO_SLOTS} slots by default) | \`--replay-memory\` | events that the subscribers have received are dropped (\`410\`); without a subscriber the generation pauses | \`jobs/registry\`, \`jobs/subscribers\` | \`jobs/subscribers\`, \`e2e/streams/replay-limits.long\` |
| logs of all finished jobs | half of the memory (${bytes(REPLAY_BYTES / 2)}) | \`--replay-memory\` | the oldest is dropped: \`410 GONE\` | \`jobs/registry\` | \`jobs/registry\`, \`e2e/streams/replay-limits.long\` |
| time a log is kept after the end of its job | ${setting('replay-ttl')} s | \`--replay-ttl\` | \`410 GONE\` | \`jobs/registry\` | \`jobs/registry\`, \`e2e/streams/replay-limits.long\` |
| ids of jobs whose logs were dropped | ${count(MAX_REMEMBERED)} | – | the oldest are forgotten: 404 | \`jobs/registry\` | \`jobs/registry\` |

Tokens are never dropped: the pause bounds them. If half of the memory has less than ${bytes(MIN_LOG_BYTES)} for each slot, the bound of
all logs together is slots × ${bytes(MIN_LOG_BYTES)} plus the other half. A pause takes effect one step later. If the worker is busier
than its engine, the tokens that the engine has computed until then come on top: at most the \`max_tokens\` of the job.

## Inside

| what | bound | set by | beyond it | code | test |
|---|---|---|---|---|---|
| steps between engine and request | the tokens of the job; the loop of a request never waits for a subscriber | – | – | \`bridge/sequence-inbox\` | \`jobs/forced-faults\` |
| unread log lines | ${bytes(MOST_PENDING)} | – | dropped, and counted in \`stdout.lines_lost\` | \`narration/backlog\` | \`narration/backlog\` |
| sentences | ${LIMITS.human}, ${LIMITS.cute}, ${LIMITS.story} characters; ${LIMITS.field} for a field | – | cut at a whole character | \`narration/narrate\` | \`narration/narrate\` |
| text that patterns are applied to | ${count(LONGEST_INPUT)} characters | – | cut first | \`narration/sanitize\` | \`narration/sanitize\` |
| losses of the engine | ${MAX_LOSSES} in ${LOSS_WINDOW_MS / 60_000} minutes | – | exit 1 | \`lifecycle/engine-supervisor\` | \`e2e/engine/engine-lost\` |
| attempts of the ready callback | ${ATTEMPTS}, of ${seconds(ANSWER_MS)} each | – | exit 1 | \`lifecycle/ready-callback\` | \`e2e/lifecycle/callback\` |
| memory of the cache | slots × context; reserved at start, unless it grows | \`--slots\`, \`--context\` | start-up reports it | \`engine/kv-cache\` | \`engine/ort/session\`, \`engine/models\` |
| tokens of one run of a prompt | ${MAX_CHUNK}, and at most ${seconds(LONGEST_MS)} | \`--prefill-chunk\` | the next chunk | \`engine/runner\`, \`engine/prefill-budget\` | \`engine/prefill-budget\` |
| labels of metrics | names of events and outcomes | – | never a job or correlation id | \`telemetry/metrics\` | \`contract/narration-limits\` |

## The engine process

| what | bound | set by | beyond it | code | test |
|---|---|---|---|---|---|
| silence of an open engine | ${setting('step-timeout')} s | \`--step-timeout\` | it is killed, \`engine.lost\` | \`bridge/heartbeat\` | \`e2e/engine/engine-hangs\`, \`bridge/heartbeat\` |
| pings of a silent engine | one in ${seconds(PING_MS)}, one without an answer | – | – | \`bridge/heartbeat\` | \`bridge/heartbeat\` |
| wait for the end of a killed engine | ${seconds(KILL_MS)} | – | it counts as lost | \`bridge/child\` | \`bridge/child\` |
| the first load | none: SIGTERM, \`/shutdown\` or a closed stdin ends it | – | – | \`commands/serve/worker\` | \`e2e/lifecycle/drain\` |
| a restart | ${RESTART_FACTOR} times the first load, plus \`--step-timeout\` | \`--step-timeout\` | another loss | \`lifecycle/engine-supervisor\` | \`bridge/child\` |
| narrated lines of the runtime | ${MAX_WARNINGS} per engine | – | not narrated | \`lifecycle/engine-supervisor\` | \`e2e/engine/engine-last-words\` |
| last output of a lost engine | ${bytes(STDERR_TAIL)} kept and reported | – | earlier output is left out | \`bridge/child\` | \`e2e/engine/engine-last-words\` |
| a cancel that the engine does not confirm | ${seconds(CANCEL_MS)} | – | the stream ends without it, \`cancel.unconfirmed\` | \`bridge/client\` | \`e2e/engine/engine-hangs\` |
| sequences left in a silent engine | slots + queue | \`--slots\`, \`--queue\` | 503 \`ALL_SLOTS_BUSY\` | \`jobs/admission\` | \`e2e/engine/engine-hangs\` |
| an engine that closes | ${seconds(CLOSE_CHILD_MS)}, and ${seconds(KILL_MS)} more when killed | – | SIGKILL; then the worker does not wait for it | \`bridge/child\` | \`e2e/engine/engine-hangs\`, \`bridge/child\` |
| last events after the deadline of a drain; close of the server | ${seconds(LAST_EVENTS_MS)} each | – | connections are cut | \`commands/serve/drain\` | \`e2e/lifecycle/drain\` |
| wait for the reader of stdout at the end | ${seconds(IDLE_FLUSH_MS)} without progress, ${seconds(LONGEST_FLUSH_MS)} in total; ${seconds(FORCED_FLUSH_MS)} when forced | – | the lines are lost; one line on stderr reports it | \`narration/backlog\`, \`commands/serve/worker\` | \`narration/backlog\`, \`e2e/lifecycle/log-target.long\` |
| weights, cache, logits and work of a model | the free memory of its device | \`--slots\`, \`--context\` | exit 1 before the load, with the sum | \`engine/load/memory-plan\` | \`engine/load/memory-plan\`, \`engine/devices/devices\` |
| tokens of one run on a GPU | the longest run that was checked to be correct, of ${PROBES.join(' and of ')} | – | shorter runs | \`engine/load/numeric-check\` | \`engine/load/numeric-check\`, \`engine/devices/decoding.webgpu\` |
| sequences that wait for the next engine | the length of the queue | \`--queue\` | new ones are refused: 503 | \`bridge/client\` | \`e2e/engine/engine-queue.long\` |

## A pull

| what | bound | set by | beyond it | code | test |
|---|---|---|---|---|---|
| answer of the API of the hub; pages of a list | ${bytes(MAX_RESPONSE_BYTES)}; ${MAX_PAGES} of 1 000 files | – | exit 1 | \`model/hub/connection\`, \`model/hub/repository\` | \`model/hub/repository\` |
| a file | its length and checksum in the list | – | a file that is too long or wrong is thrown away; after two tries, exit 1 | \`model/hub/transfer\` | \`model/hub/transfer\`, \`e2e/hub/pull-interrupted.long\` |
| tries without progress; tries in total; silence | ${RETRY_POLICY.tries}; ${MAX_TRIES}; ${seconds(RETRY_POLICY.stallMs)} | – | exit 1; the partial file stays for the next pull | \`model/hub/connection\`, \`model/hub/transfer\` | \`model/hub/transfer\` |
| redirects | ${MAX_REDIRECTS}, never from https to http | – | exit 1 | \`model/hub/connection\` | \`model/hub/transfer\` |
| \`genai_config.json\`, which names the weights | ${bytes(MAX_CONFIG_BYTES)} | – | exit 1 | \`commands/pull/pull\` | \`e2e/hub/pull-refused\` |
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
