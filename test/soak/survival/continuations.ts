/**
 * Outputs that are cut after a random event and continued by their ids, on the same worker or on another one.
 * At the end, one worker drains in the middle of its streams: the other one goes on with them.
 */
import { Client } from '../client.ts';
import type { Ledger } from '../ledger.ts';
import { Subject } from '../subject.ts';
import { expectStop } from './engine-kills.ts';
import { type Data, judgeWhole, readEvents, readingOf } from './reading.ts';
import { drawNumbers, drawTasks, type KnownTask, learn, type Task } from './tasks.ts';

export const CUTS = 'outputs that are cut and continued by their ids';
export const DRAINED = 'outputs that a drain ends, and another worker continues';
const SLOTS = 8;
const SIZES = { words: [2, 60], tokens: [20, 200] } as const;
const LONG = { words: [2, 20], tokens: [400, 440] } as const;
/** Most tasks of each kind, and the outputs per round of tasks. */
const ROUNDS = 5;
const OUTPUTS_PER_ROUND = 40;
/** An output is cut at most this many times, each time after at most this many events. */
const MOST_CUTS = 3;
const MOST_EVENTS = 90;
/** A drain ends the streams after half a second. */
const ARGS = ['--slots', String(SLOTS), '--shutdown-timeout', '1'];

export interface ContinuationsResult {
  readonly outputs: number;
  readonly cuts: number;
  /** Outputs that a drain has ended, and that the other worker has continued. */
  readonly drained: number;
}

export async function continueOutputs(outputs: number, seed: number, ledger: Ledger): Promise<ContinuationsResult> {
  const subjects = await Promise.all([Subject.start(ARGS), Subject.start(ARGS)]);
  const [one, two] = subjects;
  const clients = subjects.map(({ url }) => new Client(url));
  try {
    const [first] = clients as [Client];
    const rounds = Math.max(1, Math.min(ROUNDS, Math.ceil(outputs / OUTPUTS_PER_ROUND)));
    const known = await learn(first, '/execute', drawTasks(seed, rounds, SIZES));
    const cuts = await cutAll({ clients, seed, outputs, known }, ledger);
    const drained = await drain({ clients, seed, subject: one }, ledger);
    for (const client of clients) client.close();
    await expectStop(two, `continuations, seed ${seed}`, ledger);
    return { outputs, cuts, drained };
  } finally {
    for (const client of clients) client.close();
    await Promise.all(subjects.map((subject) => subject.kill()));
  }
}

interface Cutting {
  readonly clients: readonly Client[];
  readonly seed: number;
  readonly outputs: number;
  readonly known: readonly KnownTask[];
}

/** Cuts and continues outputs, as many at a time as a worker has slots. Returns the number of cuts. */
async function cutAll({ clients, seed, outputs, known }: Cutting, ledger: Ledger): Promise<number> {
  const picks = drawNumbers(seed, outputs, known.length);
  const places = drawNumbers(seed + 1, outputs * (MOST_CUTS + 1), MOST_EVENTS * clients.length);
  let [next, cuts] = [0, 0];
  const lane = async (): Promise<void> => {
    while (next < outputs) {
      const index = next++;
      const { task, alone } = known[picks[index] ?? 0] as KnownTask;
      const own = places.slice(index * (MOST_CUTS + 1), (index + 1) * (MOST_CUTS + 1));
      // Each number chooses a worker and the events until the next cut; after the last one, none.
      const segments = own.map((place, at) => ({
        client: clients[place % clients.length] as Client,
        ...(at < MOST_CUTS && { leaveAfter: 1 + Math.floor(place / clients.length) }),
      }));
      const output = new Output(task, `${seed}-${index}`);
      for (const { client, leaveAfter } of segments) {
        const isCut = await output.go(client, leaveAfter);
        if (!isCut) break;
        cuts += 1;
        ledger.injected(CUTS);
        ledger.ended('left after a random event, and continued');
      }
      judgeWhole(output.reading, alone, `continuations, seed ${seed}, output ${index}, places ${own}`, ledger);
    }
  };
  await Promise.all(Array.from({ length: SLOTS }, lane));
  return cuts;
}

interface Draining {
  readonly clients: readonly Client[];
  readonly seed: number;
  /** The worker of the first client. */
  readonly subject: Subject;
}

/** Stops a worker in the middle of streams. The other one continues those that end with DRAINING. */
async function drain({ clients, seed, subject }: Draining, ledger: Ledger): Promise<number> {
  const [first, second] = clients as [Client, Client];
  const known = await learn(second, '/execute', drawTasks(seed + 3, 1, LONG));
  let [events, drained] = [0, 0];
  const streams = known.map(async ({ task, alone }, index) => {
    const output = new Output(task, `${seed}-drained-${index}`);
    await output.go(first, undefined, () => {
      events += 1;
    });
    if (output.isDrained) {
      drained += 1;
      ledger.injected(DRAINED);
      ledger.ended('DRAINING');
      await output.go(second);
    }
    judgeWhole(output.reading, alone, `continuations, seed ${seed}, drained output ${index}`, ledger);
  });
  await subject.until(() => events > SLOTS * 20, 'in the middle of streams');
  await expectStop(subject, `drain, seed ${seed}`, ledger);
  await Promise.all(streams);
  return drained;
}

/** An output over the connections that it takes. */
class Output {
  readonly #task: Task;
  readonly #name: string;
  #events: Data[] = [];
  #how = '';
  #segments = 0;

  constructor(task: Task, name: string) {
    this.#task = task;
    this.#name = name;
  }

  /** All events so far, with one `started`, and without errors that a worker has continued. */
  get reading() {
    return readEvents(this.#events, this.#how);
  }

  /** True if the worker that stops has told how to continue. */
  get isDrained(): boolean {
    const last = this.#events.at(-1);
    return last?.type === 'error' && last['code'] === 'DRAINING' && last['resume'] !== undefined;
  }

  /**
   * Begins, or continues where the last connection ended.
   * @returns true if the connection was cut before the end
   */
  async go(client: Client, leaveAfter?: number, onEvents?: () => void): Promise<boolean> {
    const resume = this.#resume();
    const body = { ...this.#task, ids: true, job_id: `${this.#name}-${this.#segments++}`, ...(resume && { resume }) };
    const visit = { awayMs: 0, ...(leaveAfter !== undefined && { leaveAfter }) };
    const call = { method: 'POST', path: '/execute', body, visit, ...(onEvents && { onEvents }) } as const;
    const went = await client.call(call);
    const { events, how } = readingOf(went);
    if (this.isDrained) this.#events.pop();
    this.#events.push(...(resume ? events.filter(({ type }) => type !== 'started') : events));
    this.#how = how;
    return went?.how === 'left' && events.at(-1)?.type !== 'end';
  }

  /** Undefined before the first event. */
  #resume(): object | undefined {
    const started = this.#events.find(({ type }) => type === 'started');
    if (!started) return undefined;
    const last = this.#events.at(-1);
    if (this.isDrained) return last?.['resume'] as object;
    const { tokens } = this.reading;
    const ids = tokens.flatMap(({ ids: own }) => (own as number[] | undefined) ?? []);
    return { token_ids: ids, index: tokens.length, fingerprint: started['fingerprint'] };
  }
}
