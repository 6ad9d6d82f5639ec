/**
 * Kills of the engine in the middle of streams with long prompts. A worker restarts its engine twice in ten
 * minutes, so that each life of a worker takes two kills. All streams go on with their right texts.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '../client.ts';
import type { Ledger } from '../ledger.ts';
import { expectRest } from '../life.ts';
import { LONG_TEXT, send } from '../malformed.ts';
import { Subject } from '../subject.ts';
import { execute } from './accepted.ts';
import { makeLongModel } from './long-model.ts';
import { judgeWhole, readingOf } from './reading.ts';
import { drawNumbers, drawTasks, type KnownTask, learn } from './tasks.ts';

/** Name of these kills among the faults. */
export const LONG_KILLS = 'kills of the engine under long contexts (SIGKILL)';
const CONTEXT = 4096;
/** More streams than slots: some of them wait while the engine is lost. */
const SLOTS = 6;
const STREAMS = 8;
const KILLS = 2;
/** Most prompts are longer than the model was trained for. A word is about one token. */
const SIZES = { words: [300, 1200], tokens: [40, 160] } as const;
/** Most tasks of each kind. */
const ROUNDS = 3;
/** Lives of workers at the same time: while one starts, the other computes. */
const AT_ONCE = 2;
/** Longest way from one kill to the next, in events of all streams together: a third of the shortest outputs. */
const MOST_EVENTS = 100;
/** Logs are dropped soon: the worker must be idle at the end. */
const REPLAY = ['--replay-ttl', '1'];

export interface EngineKillsResult {
  readonly kills: number;
  /** Outputs that lost their slot, and those that went on. */
  readonly interrupted: number;
  readonly resumed: number;
  /** Tokens of the prompts: least and most. */
  readonly prompt: readonly [number, number];
}

/** Lives of workers until the engines were killed this many times. */
export async function killEngines(kills: number, seed: number, ledger: Ledger): Promise<EngineKillsResult> {
  if (kills === 0) return { kills, interrupted: 0, resumed: 0, prompt: [0, 0] };
  const folder = mkdtempSync(join(tmpdir(), 'soak-'));
  const model = ['--model', join(folder, 'long')];
  try {
    await makeLongModel(join(folder, 'long'), CONTEXT);
    const known = await learnAlone(model, seed, Math.min(ROUNDS, Math.ceil(kills / KILLS)));
    const lengths = known.map(({ alone }) => Number(alone.last?.['tokens_in']));
    const total = { kills: 0, interrupted: 0, resumed: 0 };
    let [lives, planned] = [0, 0];
    const lane = async (): Promise<void> => {
      while (planned < kills) {
        const life = { seed: seed + lives++, kills: Math.min(KILLS, kills - planned), model, known };
        planned += life.kills;
        const lived = await liveThroughKills(life, ledger);
        // A life whose streams end early has fewer kills.
        planned -= life.kills - lived.kills;
        total.kills += lived.kills;
        total.interrupted += lived.interrupted;
        total.resumed += lived.resumed;
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, lane));
    return { ...total, prompt: [Math.min(...lengths), Math.max(...lengths)] };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function learnAlone(model: readonly string[], seed: number, rounds: number): Promise<KnownTask[]> {
  const subject = await Subject.start(['--slots', '1', ...model]);
  const client = new Client(subject.url);
  try {
    return await learn(client, '/execute', drawTasks(seed, rounds, SIZES));
  } finally {
    client.close();
    await subject.kill();
  }
}

interface Life {
  readonly seed: number;
  readonly kills: number;
  readonly model: readonly string[];
  readonly known: readonly KnownTask[];
}

/** One worker: its streams, the kills of its engine, and its stop. */
async function liveThroughKills(life: Life, ledger: Ledger): Promise<Omit<EngineKillsResult, 'prompt'>> {
  const { seed, kills, model, known } = life;
  const again = `engine kills, seed ${seed}, ${kills} kills`;
  const subject = await Subject.start(['--slots', String(SLOTS), ...REPLAY, ...model]);
  const client = new Client(subject.url);
  try {
    // A long prompt starts the thread of the tokenizer, which has files of its own.
    await send(subject.url, LONG_TEXT);
    const { files } = subject;
    const progress = { begun: 0, events: 0, open: STREAMS };
    const streams = drawNumbers(seed, STREAMS, known.length).map(async (pick, index) => {
      const { task, alone } = known[pick] as KnownTask;
      const onEvents = (count: number): void => {
        if (count === 1) progress.begun += 1;
        progress.events += 1;
      };
      const body = { ...task, job_id: `${seed}-${index}` };
      const reading = readingOf(await execute(client, { body, onEvents }, ledger));
      progress.open -= 1;
      judgeWhole(reading, alone, `${again}, stream ${index}, task ${pick}`, ledger);
    });
    const killed = await killAmid({ subject, seed, kills, progress }, ledger);
    await Promise.all(streams);
    const [interrupted = 0, resumed = 0] = await counted(subject);
    client.close();
    await expectRest(subject, { files, accepted: STREAMS }, again, ledger);
    await expectStop(subject, again, ledger);
    return { kills: killed, interrupted, resumed };
  } finally {
    client.close();
    await subject.kill();
  }
}

interface Killing {
  readonly subject: Subject;
  readonly seed: number;
  readonly kills: number;
  /** Streams that have begun, events that the clients have received, and streams that have not ended. */
  readonly progress: { readonly begun: number; readonly events: number; readonly open: number };
}

/**
 * Kills the engine after a random number of events: in prompts and in outputs. The next kill waits for the next
 * engine, which can be in the middle of the same prompts.
 * @returns the number of kills: fewer than asked for if all streams have ended
 */
async function killAmid({ subject, seed, kills, progress }: Killing, ledger: Ledger): Promise<number> {
  await subject.until(() => progress.begun === STREAMS, 'serving all streams');
  for (const [index, wait] of drawNumbers(seed + 1, kills, MOST_EVENTS).entries()) {
    const from = progress.events;
    await subject.until(() => progress.events >= from + 1 + wait || progress.open === 0, 'at the next kill');
    if (progress.open === 0) return index;
    process.kill(subject.enginePid, 'SIGKILL');
    ledger.injected(LONG_KILLS);
    await subject.until(() => subject.count('engine.restarted') > index, 'ready with another engine');
  }
  return kills;
}

/** Checks that the worker stops as always, and has reported no fault of its own. */
export async function expectStop(subject: Subject, again: string, ledger: Ledger): Promise<void> {
  const code = await subject.stop();
  const { blamed, stderr } = subject;
  ledger.expect('stops', code === 0, () => `exit code ${code}; ${again}`);
  const isBlameless = blamed.length === 0 && stderr === '';
  ledger.expect('blameless', isBlameless, () => `${blamed.slice(0, 3).join('\n')}${stderr}; ${again}`);
}

async function counted(subject: Subject): Promise<number[]> {
  const figures = await subject.metrics();
  return ['interrupted', 'resumed'].map((name) => figures.get(`worker_requests_${name}_total`) ?? 0);
}
