/**
 * Makes docs/narration.md from the catalogue and the fields: every event with its condition, its facts and
 * examples of its texts.
 */
import { CATALOGUE } from '../src/narration/catalogue/catalogue.ts';
import type { Entry } from '../src/narration/entry.ts';
import { FIELDS } from '../src/narration/fields.ts';
import { eventsOf, type Recording } from './openapi.ts';

type Facts = Readonly<Record<string, unknown>>;
type Known = Parameters<Entry['human']>[0];

const WORKER = 'worker-gpu0-r1';
const JOB = 'job-1';
const LEVELS = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'];
const EXAMPLES: Facts = Object.fromEntries(Object.entries(FIELDS).map(([name, { example }]) => [name, example]));

/** Facts of events for which the example of the field makes an odd sentence. */
const FITTING: Readonly<Record<string, Facts>> = {
  'server.bind_failed': { error_kind: 'bind_failed', reason: 'EADDRINUSE' },
  'device.cuda': { device: 'cuda-0' },
  'device.metal': { device: 'metal-0' },
  'device.webgpu': { device: 'webgpu' },
  'device.fallback': { reason: 'cuda-0 has no driver' },
  'model.load_started': { reason: 'full floats, which a CPU need not widen', dtypes: 'fp32, fp16' },
  'model.problem': { file: 'onnx/model.onnx_data', reason: 'is missing' },
  'model.load_failed': { error_kind: 'model_load_failed', reason: 'tokenizer.json is missing' },
  'warmup.done': { speculation: 'off' },
  'callback.failed': { error_kind: 'callback_failed', reason: 'ECONNREFUSED' },
  'engine.lost': { error_kind: 'engine_lost', reason: 'signal SIGKILL' },
  'engine.warning': { reason: 'Some nodes were not assigned to the preferred device' },
  'worker.fault': { error_kind: 'http', reason: 'TypeError' },
  'worker.failed': { error_kind: 'engine_lost', reason: 'the engine was lost too often' },
  'fields.ignored': { fields: 'max_token' },
  'request.invalid': { fields: 'temperature, max_tokens' },
  'request.cancelled': { reason: 'asked by the caller', duration_ms: 2.4 },
  'request.engine_lost': { error_kind: 'engine_lost', reason: 'signal SIGKILL' },
  'inference.failed': { error_kind: 'timeout', reason: 'the deadline passed' },
};

/** The page. `recordings` are real exchanges, for the example of a line and of its event. */
export function narrationPage(recordings: readonly Recording[]): string {
  const recording = recordings.find(({ name }) => name === 'execute-seed-42');
  const line = recording?.log.find((one) => one['event'] === 'request.validated');
  const event = recording && eventsOf(recording).find((data) => data['event'] === 'request.validated');
  if (!line || !event) throw new Error('The recording execute-seed-42 has no request.validated.');
  return `${introduction(line, event)}
${section(
  'lifecycle',
  `## The worker's life

These go to standard output only.`,
)}
${section(
  'request',
  `## One request

These go to standard output, and to the stream of their request. They are about its job unless the table says otherwise.`,
)}
${vocabulary()}`;
}

function introduction(line: Facts, event: Facts): string {
  return `<!-- Made by \`npm run generate\` from src/narration: edit catalogue.ts and fields.ts instead. -->
# What the worker says

The worker narrates what it does. Code says \`narrate(event, facts)\`; the sentences live in one catalogue, and this page is made
from it. Every narration goes to standard output as one line of JSON. A narration that happens inside a request, and concerns it,
also goes into the stream of that request as an event named \`narration\`. No caller chooses where it goes: operators and the user
who waits read the same words. In the tables below, the last column has an example of each text, in the order of this one:

| Text | For whom | At most |
|---|---|---|
| \`human\` | everybody: who does what, with numbers and units | 100 characters |
| \`cute\` | whoever wants to smile; gentle even when something fails | 150 characters |
| \`story\` | a short dialogue, only where two parts talk | 200 characters |

What a stream carries depends on \`--narration\`: \`full\` is all three, \`human\` is the first alone, \`off\` is none. Standard output
always has all. Words of a prompt or of an output are never narrated, only counts; secrets are replaced by \`[REDACTED]\`.

A line has its keys in this order:

${lineOrder(line)}

The same narration, on standard output and in the stream of its request:

\`\`\`json
${JSON.stringify(line)}
\`\`\`

\`\`\`json
${JSON.stringify(event)}
\`\`\`
`;
}

/** The keys in the order of a real line, each with its meaning. */
function lineOrder(line: Facts): string {
  const words: Readonly<Record<string, string>> = {
    timestamp: 'ISO 8601, UTC, with milliseconds; on standard output only',
    level: LEVELS.map((level) => `\`${level}\``).join(' '),
    event: 'the stable code; the tables below have them all',
    actor: 'the part of the worker that speaks',
    action: 'what that part does',
    target: 'what it is about',
    human: 'the sentence',
    cute: 'the same with a smile',
    story: 'the same as a dialogue; only some events have one',
    correlation_id: 'of the request; absent outside of one',
    worker_id: 'of this worker',
    job_id: 'of the request; absent outside of one',
    '…': 'the typed fields of the event, listed below',
    trace_id: 'with `traceparent`: the trace',
    span_id: 'with `traceparent`: the parent span',
    emitted_by: 'name and version of the worker',
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

| Event | When | Who, about what | Facts | How it sounds |
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
    [code(name), levels(entry, known).join(', ')],
    [`When ${plain(entry.when)}`],
    [`${code(entry.actor)} / ${code(entry.action)}`, about === undefined ? '' : `about ${code(about)}`],
    [entry.required.map(code).join(' '), entry.optional.length > 0 ? `may: ${entry.optional.map(code).join(' ')}` : ''],
    sentences.filter((sentence) => sentence !== undefined).map(plain),
  ]);
}

/** All levels an event can have: with every fact, with only the required ones, and as a cancel. */
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

The words in which facts are told. A number is a number, never a text.

| Field | Type | Meaning | Example |
|---|---|---|---|
${rows.join('\n')}
`;
}

/** A row of a table. Each cell is a list of lines. */
const cells = (columns: readonly (readonly string[])[]): string =>
  `| ${columns.map((lines) => lines.filter(Boolean).join('<br>')).join(' | ')} |`;

/** Escapes a text for Markdown, in table cells too. */
const plain = (text: string): string =>
  text
    .replace(/\s+/g, ' ')
    .replace(/[\\`*[\]|]|\b_|_\b/g, '\\$&')
    .replaceAll('<', '&lt;');
const code = (text: string): string => `\`${text.replaceAll('|', '\\|')}\``;
