/**
 * One life of a worker under attack: a wave of clients while its engine is killed and suspended, a check that
 * the worker is idle again, and a second wave during which the worker gets SIGTERM.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Account, Client } from './client.ts';
import { eventOf, judge } from './judge.ts';
import type { Ledger } from './ledger.ts';
import { drawFaults, drawPlans, type Fault, JOBS, type Plan } from './plans.ts';
import { Subject } from './subject.ts';

export interface LifeOptions {
  readonly seed: number;
  readonly clients: number;
  readonly spreadMs: number;
  /** At most two: the third loss within ten minutes ends the worker. */
  readonly kills: number;
  /** True: a lost engine ends the streams that it served. Otherwise the next engine continues them. */
  readonly fails?: boolean;
}

/** Few slots and short timeouts, so that clients reach the queue, refusals and limits. */
const ARGS = [
  '--slots',
  '4',
  '--queue',
  '24',
  '--slow-timeout',
  '1',
  '--detach-timeout',
  '2',
  '--shutdown-timeout',
  '3',
];
/** Logs are kept long enough for clients to return, and dropped early enough to observe it. */
const REPLAY = ['--replay-ttl', '5'];
const FAILS = ['--on-engine-loss', 'fail'];

/** Runs one life and records the results in the ledger. `texts` comes from `learnTexts`. */
export async function live(options: LifeOptions, texts: readonly string[], ledger: Ledger): Promise<void> {
  const { seed, clients, spreadMs, kills, fails = false } = options;
  const again = `seed ${seed}, ${clients} clients in ${spreadMs} ms, ${kills} kills${fails ? ' that fail streams' : ''}`;
  const subject = await Subject.start([...ARGS, ...REPLAY, ...(fails ? FAILS : [])]);
  try {
    const client = new Client(subject.url);
    const files = subject.files;
    const plans = drawPlans(seed, clients, spreadMs);
    const faults = drawFaults(seed, kills, spreadMs).map((fault) => inject(fault, subject, ledger));
    const accounts = await wave(client, plans, `${seed}-a`);
    await Promise.all(faults);
    countActions(accounts, ledger);
    const circumstances = { killed: kills > 0, fails, stopping: false, texts, again };
    for (const account of accounts) judge(account, circumstances, ledger);
    client.close();
    const accepted = accounts.filter(({ visits }) => visits[0]?.status === 200).length;
    await expectRest(subject, { files, accepted }, again, ledger);
    await stopAmid(subject, options, texts, again, ledger);
  } finally {
    await subject.kill();
  }
}

/** Runs all clients of a wave to their ends. */
async function wave(client: Client, plans: readonly Plan[], name: string) {
  return Promise.all(plans.map((plan, index) => client.perform(plan, `${name}-${index}`)));
}

/** Counts the actions of the clients as injected faults. */
function countActions(accounts: readonly Account[], ledger: Ledger): void {
  for (const { plan, visits, cancel } of accounts) {
    if (cancel !== undefined) ledger.injected('cancels');
    if (plan.timeoutMs !== undefined) ledger.injected('deadlines of 1 to 1 500 ms');
    ledger.injected('subscribers that leave', visits.filter((went) => went?.how === 'left').length);
    ledger.injected('subscribers that return', visits.length - 1);
    const stalls = visits.filter((went, index) => {
      const after = plan.visits[index]?.stallAfter;
      return after !== undefined && went !== undefined && went.messages.length > after;
    });
    ledger.injected(plan.narrow ? 'stalls of subscribers with a small kernel buffer' : 'short stalls', stalls.length);
  }
}

async function inject({ kind, atMs, forMs }: Fault, subject: Subject, ledger: Ledger): Promise<void> {
  await sleep(atMs);
  // The worker may not have noticed an earlier kill yet.
  let engine: number | undefined;
  const engineIsReady = async (): Promise<boolean> => {
    engine = subject.currentEngine;
    return engine !== undefined && (await subject.get('/ready')).status === 200;
  };
  await subject.until(engineIsReady, 'ready for the next fault');
  if (engine === undefined) return;
  ledger.injected(kind === 'kill' ? 'kills of the engine (SIGKILL)' : 'engines that are suspended (SIGSTOP)');
  signal(engine, kind === 'kill' ? 'SIGKILL' : 'SIGSTOP');
  if (kind === 'kill') return;
  await sleep(forMs);
  signal(engine, 'SIGCONT');
}

/** Sends a signal; the process may have ended meanwhile. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Checks that the worker is as idle as before the wave. */
export async function expectRest(
  subject: Subject,
  { files, accepted }: { readonly files: number; readonly accepted: number },
  again: string,
  ledger: Ledger,
): Promise<void> {
  const isIdle = async (): Promise<boolean> => {
    const { status, slots, queue } = (await subject.health()) as {
      status: string;
      slots: { busy: number };
      queue: { length: number };
    };
    const figures = await subject.metrics();
    const left = ['requests_running', 'requests_waiting', 'kv_cache_usage_ratio', 'event_log_bytes'];
    return (
      status === 'healthy' &&
      slots.busy + queue.length === 0 &&
      left.every((name) => figures.get(`worker_${name}`) === 0)
    );
  };
  const holds = (so: () => boolean | Promise<boolean>): Promise<boolean> =>
    subject.until(so, 'idle again').then(
      () => true,
      () => false,
    );
  const idle = await holds(isIdle);
  const { slots, queue } = await subject.health();
  ledger.expect('idle', idle, () => `${JSON.stringify({ slots, queue })}; ${again}`);
  const settled = await holds(() => subject.unsettled.length === 0);
  ledger.expect('logged', settled, () => `${subject.unsettled.slice(0, 5).join(', ')}; ${again}`);
  const shut = await holds(() => subject.files <= files);
  ledger.expect('files', shut, () => `${files} before, ${subject.files} after; ${again}`);
  const counted = (await subject.metrics()).get('worker_requests_total');
  ledger.expect('accounted', counted === accepted, () => `${counted} counted, ${accepted} accepted; ${again}`);
}

/** A second wave, with a SIGTERM during it. */
async function stopAmid(
  subject: Subject,
  { seed, clients, spreadMs }: LifeOptions,
  texts: readonly string[],
  again: string,
  ledger: Ledger,
): Promise<void> {
  const plans = drawPlans(seed + 1_000_000, clients, spreadMs);
  const client = new Client(subject.url);
  const running = wave(client, plans, `${seed}-b`);
  await sleep(spreadMs * 0.7);
  ledger.injected('SIGTERM in the middle of streams');
  const code = await subject.stop();
  const accounts = await running;
  countActions(accounts, ledger);
  for (const account of accounts) judge(account, { killed: false, stopping: true, texts, again }, ledger);
  client.close();
  const { lastEvent, blamed, stderr, unsettled } = subject;
  ledger.expect(
    'stops',
    code === 0 && lastEvent === 'server.shutdown',
    () => `exit code ${code}, ${lastEvent}; ${again}`,
  );
  ledger.expect('logged', unsettled.length === 0, () => `${unsettled.slice(0, 5).join(', ')}; ${again}`);
  ledger.expect(
    'blameless',
    blamed.length === 0 && stderr === '',
    () => `${blamed.slice(0, 3).join('\n')}${stderr}; ${again}`,
  );
}

/** The text of each job when it runs alone and without faults. `args` select the model. */
export async function learnTexts(args: readonly string[] = []): Promise<string[]> {
  const subject = await Subject.start(['--slots', '1', ...args]);
  const client = new Client(subject.url);
  const texts: string[] = [];
  for (const [job] of JOBS.entries()) {
    const { visits } = await client.perform(
      { job, onDisconnect: 'cancel', narrow: false, visits: [{ awayMs: 0 }] },
      `0-alone-${job}`,
    );
    const events = (visits[0]?.messages ?? []).map(eventOf);
    if (events.at(-1)?.data.type !== 'end')
      throw new Error(`A job failed without any fault: ${JSON.stringify(events.at(-1))}`);
    texts.push(events.map(({ data }) => (data.type === 'token' ? String(data['t']) : '')).join(''));
  }
  client.close();
  await subject.stop();
  return texts;
}
