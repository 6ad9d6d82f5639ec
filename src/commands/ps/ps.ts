/** `rbees-workerd ps`: the workers of this user on this machine, and what they do now. */
import { formatBytes } from '../../narration/phrases.ts';
import type { Command } from '../command.ts';
import { jsonText } from '../json-text.ts';
import { Terminal } from '../terminal.ts';
import { type Column, shortTime, textTable } from '../text-table.ts';
import { readWorkerArguments, type WorkerSelection, workerFlagsHelp } from '../workers/command-line.ts';
import { findWorkers } from '../workers/local-workers.ts';
import type { WorkerRow } from '../workers/worker-row.ts';
import { withRates } from './token-rates.ts';

const HELP = `rbees-workerd ps [flags]

Lists the workers of this user on this machine: model, device, busy slots of all
slots, queue, speed, memory. Takes a second, in which it measures TOK/S.

${workerFlagsHelp('several times: only these workers are listed')}
  --no-rate            do not measure the speed
  --json               print one JSON document

STATUS is the state that the worker reports (starting, healthy, stalled,
draining, unhealthy), or: "needs a token"; "no answer" within two seconds;
"not a worker", if another program answers.
Workers of other users, containers and machines are not listed: use --url.

Exit codes: 0 success; 1 a worker of --url does not answer; 2 wrong flags.
`;

const LINE = { command: 'ps', switches: ['json', 'no-rate'], most: 0 } as const;

export const psCommand: Command = { help: () => HELP, run };

async function run(args: readonly string[]): Promise<number> {
  const { selection, switches } = readWorkerArguments(args, LINE);
  const found = await findWorkers(selection);
  const rows = (switches.has('no-rate') ? found : await withRates(found)).map(({ row }) => row);
  await Terminal.stdout().print(switches.has('json') ? jsonText(rows) : page(rows));
  if (rows.length === 0 && !switches.has('json')) await Terminal.stderr().print(NONE);
  return exitCode(selection, rows);
}

const NONE =
  'No worker of this user runs on this machine. Start one with "rbees-workerd serve", or name others with --url.\n';

/** A script that names a worker learns from the exit code if it answers. */
const exitCode = ({ urls }: WorkerSelection, rows: readonly WorkerRow[]): number =>
  urls.length > 0 && rows.some(({ problem }) => problem !== undefined) ? 1 : 0;

const COLUMNS: readonly Column<WorkerRow>[] = [
  { title: 'WORKER', cell: ({ worker_id: id }) => id ?? '', most: 36 },
  { title: 'PID', cell: ({ pid }) => text(pid), right: true },
  { title: 'STATUS', cell: ({ status }) => WORDS[status] ?? status },
  { title: 'MODEL', cell: ({ model }) => model ?? '', most: 40 },
  { title: 'DEVICE', cell: ({ device }) => device ?? '', most: 12 },
  { title: 'SLOTS', cell: ({ slots }) => (slots ? `${slots.busy}/${slots.total}` : ''), right: true },
  { title: 'QUEUE', cell: ({ queue }) => text(queue?.length), right: true },
  { title: 'TOK/S', cell: ({ tokens_per_sec: rate }) => rate?.toFixed(1) ?? '', right: true },
  { title: 'MEMORY', cell: ({ memory_bytes: bytes }) => (bytes === undefined ? '' : formatBytes(bytes)), right: true },
  { title: 'UPTIME', cell: ({ uptime_seconds: age }) => (age === undefined ? '' : shortTime(age)), right: true },
  { title: 'URL', cell: ({ url }) => url, most: 60 },
];

const WORDS: Partial<Record<WorkerRow['status'], string>> = {
  needs_token: 'needs a token',
  no_answer: 'no answer',
  not_a_worker: 'not a worker',
};

const text = (value: number | undefined): string => (value === undefined ? '' : String(value));

function page(rows: readonly WorkerRow[]): string {
  if (rows.length === 0) return '';
  const notes = rows.flatMap(({ url, problem }) => (problem === undefined ? [] : [`${url}: ${problem}\n`]));
  return `${textTable(COLUMNS, rows)}${notes.length > 0 ? `\n${notes.join('')}` : ''}`;
}
