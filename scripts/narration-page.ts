/**
 * Makes docs/narration.md from the catalogue and the typed fields: all events with their conditions, facts
 * and example texts.
 */
import { CATALOGUE } from '../src/narration/catalogue/catalogue.ts';
import { type Entry, LIMITS } from '../src/narration/entry.ts';
import { FIELDS } from '../src/narration/fields.ts';
import { eventsOf, type Recording } from './openapi.ts';

type Facts = Readonly<Record<string, unknown>>;
type Known = Parameters<Entry['human']>[0];

const WORKER = 'worker-gpu0-r1';
const JOB = 'job-1';
const LEVELS = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'];
const EXAMPLES: Facts = Object.fromEntries(Object.entries(FIELDS).map(([name, { example }]) => [name, example]));

/** Facts of events whose sentence would be odd with the general example of a field. */
const FITTING: Readonly<Record<string, Facts>> = {
  'settings.ignored': { settings: 'host, callback-url' },
  'gpu_graph.limited': { device: 'webgpu', gpu_graph: 'eager', reason: 'recorded runs ignore the sliding window' },
  'traces.started': { url: 'http://127.0.0.1:4318/v1/traces' },
  'traces.setting_unusable': {
    setting: 'OTEL_EXPORTER_OTLP_COMPRESSION',
    reason: '"zstd" is not supported; allowed: none, gzip; none is used',
  },
  'traces.spans_dropped': { url: 'http://127.0.0.1:4318/v1/traces', reason: 'ECONNREFUSED' },
  'server.bind_failed': { error_kind: 'bind_failed', reason: 'EADDRINUSE' },
  'device.cpu': { reason: 'the model is small' },
  'device.cuda': { device: 'cuda-0' },
  'device.metal': { device: 'metal-0' },
  'device.webgpu': { device: 'webgpu' },
  'device.fallback': { reason: 'the NVIDIA driver is missing' },
  'model.load_started': { reason: 'the only weights in the folder', dtypes: 'fp32' },
  'model.problem': { file: 'onnx/model.onnx_data', reason: 'is missing' },
  'model.load_failed': { error_kind: 'model_load_failed', reason: 'tokenizer.json is missing' },
  'model.field_ignored': { file: 'generation_config.json', reason: 'allowed: a number from 0 to 1' },
  'model.tokens_differ': { files: 'tokenizer_config.json, special_tokens_map.json' },
  'warmup.done': { speculation: 'off' },
  'callback.failed': { error_kind: 'callback_failed', reason: 'ECONNREFUSED' },
  'engine.not_started': { reason: 'the process could not be started (EMFILE)' },
  'engine.lost': { error_kind: 'engine_lost', reason: 'signal SIGKILL', requests_waiting: 0 },
  'engine.warning': { reason: 'Some nodes were not assigned to the preferred device' },
  'worker.fault': { error_kind: 'http', reason: 'TypeError' },
  'worker.failed': { error_kind: 'engine_lost', reason: 'the engine was lost 3 times in ten minutes' },
  'fields.ignored': { fields: 'max_token' },
  'request.invalid': { fields: 'temperature, max_tokens' },
  'request.cancelled': { reason: 'requested by the caller', duration_ms: 2.4 },
  'cancel.unconfirmed': { reason: 'requested by the caller', duration_ms: 1000 },
  'request.requeued': { reason: 'signal SIGKILL' },
  'request.interrupted': { reason: 'signal SIGKILL' },
  'reader.detached': { timeout_ms: 30_000 },
  'reader.dropped': { timeout_ms: 30_000 },
  'request.draining': { timeout_ms: 30_000 },
  'worker.draining': { timeout_ms: 30_000 },
  'connections.limited': { connections_limit: 960 },
  'cache.reserved': { slots: 8, cache_bytes: 8_388_608 },
  'request.engine_lost': { error_kind: 'engine_lost', reason: 'signal SIGKILL' },
  'inference.failed': { error_kind: 'timeout', reason: 'the deadline passed' },
};

/** The page. One of the recorded exchanges gives the example of a log line and of its stream event. */
export function narrationPage(recordings: readonly Recording[]): string {
  const recording = recordings.find(({ name }) => name === 'execute-seed-42');
  const line = recording?.log.find((one) => one['event'] === 'request.validated');
  const event = recording && eventsOf(recording).find((data) => data['event'] === 'request.validated');
  if (!line || !event) throw new Error('The recording execute-seed-42 has no request.validated.');
  return `${introduction(line, event)}
${section(
  'lifecycle',
  `## Events of the worker

These events go to standard output only.`,
)}
${section(
  'request',
  `## Events of a request

These events go to standard output and to the stream of their request. Their target is the job, unless the table names
another one.`,
)}
${vocabulary()}`;
}

function introduction(line: Facts, event: Facts): string {
  return `<!-- Made by \`npm run generate\` from src/narration: edit the files of catalogue/ and fields.ts instead. -->
# Narration

The worker narrates each step of its work. The code calls \`narrate(event, facts)\`. The sentences are in one catalogue,
and this page is generated from it. Each narration is one line of JSON on standard output. A narration of a request also
goes into the stream of that request, as an event named \`narration\`. The caller of \`narrate\` cannot choose between the
two, so operators and users read the same sentences. A narration has up to three texts:

| Text | Purpose | Maximum length |
|---|---|---|
| \`human\` | a factual sentence, with numbers and units; a remedy comes first | ${LIMITS.human} characters, ${LIMITS.warning} at WARN and above |
| \`cute\` | a playful sentence, gentle also in failures | ${LIMITS.cute} characters |
| \`story\` | a short dialogue of two components; only some events have one | ${LIMITS.story} characters |

\`--narration\` selects the texts in streams: \`full\` sends all three, \`human\` sends only the first, \`off\` sends no
narration. Standard output always has all texts. Narrations never contain text of a prompt or an output, only counts.
Secrets are replaced by \`[REDACTED]\`.

\`--log-level\` hides the lines of lower levels on standard output, except those of an event that is marked "at every
\`--log-level\`" below: a parent process finds the port in such a line.

A line has its keys in this order:

${lineOrder(line)}

The same narration on standard output and in the stream of its request, with line breaks added for this page:

\`\`\`json
${wrapped(line)}
\`\`\`

\`\`\`json
${wrapped(event)}
\`\`\`

In the tables below, the last column shows an example of each text, in the order \`human\`, \`cute\`, \`story\`.
`;
}

/** JSON on several lines of at most 120 columns, as far as the values allow. */
function wrapped(object: object): string {
  const members = Object.entries(object).map(([key, value]) => `${JSON.stringify(key)}: ${JSON.stringify(value)}`);
  const lines: string[] = [];
  for (const member of members) {
    const longer = `${lines.at(-1)}, ${member}`;
    if (lines.length > 0 && longer.length < 118) lines[lines.length - 1] = longer;
    else lines.push(member);
  }
  return `{\n${lines.map((line) => `  ${line}`).join(',\n')}\n}`;
}

/** The keys of a line, in the order of a recorded line. */
function lineOrder(line: Facts): string {
  const words: Readonly<Record<string, string>> = {
    timestamp: 'ISO 8601, UTC, with milliseconds; on standard output only',
    level: LEVELS.map((level) => `\`${level}\``).join(' '),
    event: 'the stable name of the event; the tables below list all of them',
    actor: 'the component of the worker',
    action: 'the action of that component',
    target: 'the subject of the event, such as a job, a slot or an address',
    human: 'the factual sentence',
    cute: 'the playful sentence',
    story: 'the dialogue; only some events have one',
    correlation_id: 'the id of the request; absent outside of a request',
    worker_id: 'the id of this worker',
    job_id: 'the id of the job; absent outside of a request',
    run_id: 'the id of this run of the job; absent if the request did not become a job',
    '…': 'the typed fields of the event, listed below',
    trace_id: 'the id of the trace, if the request has a `traceparent` or [traces](traces.md) are on',
    span_id: 'the id of the span of the request if traces are on, otherwise that of the parent span in `traceparent`',
    emitted_by: 'name and version of the worker software',
  };
  const keys = Object.keys(line);
  const rank = (key: string): number => (key === '…' ? keys.indexOf('job_id') + 0.5 : keys.indexOf(key));
  const ordered = Object.keys(words).sort((a, b) => rank(a) - rank(b));
  return ordered.map((key, at) => `${at + 1}. ${key === '…' ? key : `\`${key}\``}: ${words[key]}`).join('\n');
}

function section(scope: Entry['scope'], heading: string): string {
  const rows = Object.entries(CATALOGUE as unknown as Readonly<Record<string, Entry>>).filter(
    ([, entry]) => entry.scope === scope,
  );
  return `${heading}

| Event | Condition | Actor, action, target | Facts | Example texts |
|---|---|---|---|---|
${rows.map(([name, entry]) => row(name, entry)).join('\n')}
`;
}

function row(name: string, entry: Entry): string {
  const facts: Facts = { ...EXAMPLES, ...FITTING[name] };
  const fields = [...entry.required, ...entry.optional];
  const known = Object.fromEntries(fields.map((field) => [field, facts[field]])) as Known;
  const about = entry.target?.(known, WORKER);
  const sentences = [entry.human(known, JOB), entry.cute?.(known, JOB), entry.story?.(known, JOB)];
  return cells([
    [code(name), `${levels(entry, known).join(', ')}${entry.always ? ', at every `--log-level`' : ''}`],
    [`When ${plain(entry.when)}`],
    [`${code(entry.actor)} / ${code(entry.action)}`, about === undefined ? '' : `target ${code(about)}`],
    [
      entry.required.map(code).join(' '),
      entry.optional.length > 0 ? `optional: ${entry.optional.map(code).join(' ')}` : '',
    ],
    sentences.filter((sentence) => sentence !== undefined).map(plain),
  ]);
}

/** All levels of an event: with all facts, with only the required ones, and for a cancel. */
function levels({ level, required }: Entry, known: Known): string[] {
  if (typeof level !== 'function') return [level];
  const least = Object.fromEntries(required.map((field) => [field, (known as Facts)[field]])) as Known;
  const found: string[] = [known, least, { ...known, error_kind: 'cancelled' } as Known].map((facts) => level(facts));
  return LEVELS.filter((one) => found.includes(one));
}

function vocabulary(): string {
  const rows = Object.entries(FIELDS).map(([name, { type, meaning, example }]) =>
    cells([[code(name)], [type], [plain(meaning)], [code(String(example))]]),
  );
  return `## Facts

The typed fields of the events. Numbers are JSON numbers, never strings.

| Field | Type | Meaning | Example |
|---|---|---|---|
${rows.join('\n')}
`;
}

/** A row of a table. Each cell is a list of lines. */
const cells = (columns: readonly (readonly string[])[]): string =>
  `| ${columns.map((lines) => lines.filter(Boolean).join('<br>')).join(' | ')} |`;

/** Escapes text for Markdown, also in a cell of a table. */
const plain = (text: string): string =>
  text
    .replace(/\s+/g, ' ')
    .replace(/[\\`*[\]|]|\b_|_\b/g, '\\$&')
    .replaceAll('<', '&lt;');
const code = (text: string): string => `\`${text.replaceAll('|', '\\|')}\``;
