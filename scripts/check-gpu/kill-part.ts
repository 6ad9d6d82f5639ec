/**
 * Part: SIGKILL of an engine while it decodes several rows, when it has computed its first tokens (a captured
 * step is recorded then) and in the middle. The memory of the card must be free afterwards, and the next
 * engine must give the right ids.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { DeviceName } from '../../src/protocol/devices.ts';
import { type Deadline, requireTime } from './budget.ts';
import { type Check, freeOnCard, isSound, messageOf, say } from './check.ts';
import { type Case, continueAll, MODES, type Mode, optionsFor, rightOf } from './correctness.ts';
import { EngineProcess } from './engine-process.ts';
import { megabytes } from './figures.ts';
import { noteMode } from './simpler-modes.ts';

const ROWS = 8;
/** Tokens of the prompt of a row, and ids below this number, which every model has. */
const [PROMPT, SMALL_VOCABULARY] = [8, 60];
/** Ids of each row at the kill. */
const MOMENTS = { 'first tokens': { sequences: 1, ids: 1 }, 'mid-decode': { sequences: ROWS / 2, ids: 12 } } as const;
/** Memory of the card that may differ afterwards, and the time until the driver has it back. */
const MARGIN_BYTES = 64 * 2 ** 20;
const RETURN_MS = 10_000;
const POLL_MS = 200;
/** Estimated time of a kill and of the engine after it. */
const NEEDED_MS = { full: 15_000, tiny: 3000, software: 30_000 } as const;

/** Kills engines on a device. @param model a model with known ids */
export async function checkKills(check: Check, device: DeviceName, time: Deadline, model: Case): Promise<void> {
  const { page, results } = check;
  const rows: string[][] = [];
  for (const mode of [...MODES].reverse()) {
    for (const moment of Object.keys(MOMENTS) as (keyof typeof MOMENTS)[]) {
      let cells: string[];
      try {
        requireTime(time, NEEDED_MS[check.scale.name]);
        cells = await killOnce(check, { device, mode }, time, { model, moment });
      } catch (error) {
        cells = [isSound(error) ? messageOf(error) : `WRONG: ${messageOf(error)}`, '–'];
      }
      if (cells.some((cell) => cell.startsWith('WRONG')))
        results.wrong.push(`after SIGKILL on ${device}, ${mode}, ${moment}: ${cells.join(', ')}`);
      rows.push([mode, moment, ...cells]);
      say(`${device}, SIGKILL: ${rows.at(-1)?.join(', ')}`);
      page.put({
        title: `SIGKILL on ${device}`,
        text: [`The engine decodes ${ROWS} rows of ${model.name} when it is killed.`],
        head: ['mode', 'moment', 'ids of the next engine', 'MB on the card: before, in use, after'],
        rows,
      });
    }
  }
}

interface Kill {
  readonly model: Case;
  readonly moment: keyof typeof MOMENTS;
}

async function killOnce(
  check: Check,
  { device, mode }: { readonly device: DeviceName; readonly mode: Mode },
  time: Deadline,
  { model, moment }: Kill,
): Promise<string[]> {
  const { runtimeLibrary, env } = check;
  const where = { runtimeLibrary, device, mode, env, timeoutMs: Math.max(1, time.leftMs()) };
  const before = await freeOnCard(check);
  const sizes = { slots: ROWS, context: model.context };
  const engine = await EngineProcess.open(optionsFor(where, model.modelFile, sizes), where);
  const used = await freeOnCard(check);
  const { sequences, ids } = MOMENTS[moment];
  const reached = engine.reached(sequences, ids);
  const rows = Array.from({ length: ROWS }, (_, row) => decodeForever(engine, row, model.context));
  await reached.finally(() => engine.kill());
  await Promise.all(rows);
  const after = await freeAgain(check, before);
  const outcome = await continueAll(where, model);
  const right = rightOf(model, outcome);
  const isRight = right === model.expected.length;
  const note = noteMode(check, { device, mode, model: model.name }, outcome.facts);
  const text = (outcome.problem ?? `${right} of ${model.expected.length} right`) + note;
  const total = check.probe.nvidia?.gpus[0]?.totalBytes;
  const inUse = (free: number | undefined): number | undefined =>
    free === undefined || total === undefined ? undefined : total - free;
  const isBack = before === undefined || (after !== undefined && after >= before - MARGIN_BYTES);
  const memory = [before, used, after].map((free) => megabytes(inUse(free))).join(', ');
  const isCut = outcome.isStopped === true && !time.fits(1);
  return [isRight || isCut ? text : `WRONG: ${text}`, isBack ? memory : `WRONG: memory is not free: ${memory}`];
}

/** Runs one sequence after another, until the engine ends. */
async function decodeForever(engine: EngineProcess, row: number, context: number): Promise<void> {
  const prompt = Array.from({ length: PROMPT }, (_, index) => 1 + ((row * PROMPT + index) % SMALL_VOCABULARY));
  try {
    for (;;) await engine.run({ prompt, maxTokens: context - PROMPT });
  } catch {
    return;
  }
}

/** Free bytes of the card when it has as much as before, or after some time. */
async function freeAgain(check: Check, before: number | undefined): Promise<number | undefined> {
  const end = performance.now() + RETURN_MS;
  let free = await freeOnCard(check);
  while (before !== undefined && (free ?? 0) < before - MARGIN_BYTES && performance.now() < end) {
    await delay(POLL_MS);
    free = await freeOnCard(check);
  }
  return free;
}
