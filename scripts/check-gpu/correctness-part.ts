/** Part: the ids of all test models in all modes, several engines at a time. */
import type { DeviceName } from '../../src/protocol/devices.ts';
import { type Deadline, skippedFor } from './budget.ts';
import { type Check, inParallel, messageOf, say } from './check.ts';
import {
  type Case,
  continueAll,
  embeddedModel,
  MODES,
  type Mode,
  rightOf,
  testModels,
  type Where,
} from './correctness.ts';
import { noteMode } from './simpler-modes.ts';

/** An engine that takes longer for one of these small models hangs. A renderer in software is slower. */
const HANGS_MS = { full: 60_000, tiny: 60_000, software: 300_000 } as const;
/** Estimated time of the first model. */
const FIRST_MS = 8000;

/**
 * Checks all models on a device.
 * @returns a case with known ids for other parts: the embedded model, or a small one in a rehearsal
 */
export async function checkCorrectness(check: Check, device: DeviceName, time: Deadline): Promise<Case | undefined> {
  const { runtimeLibrary, env, scale, page, results } = check;
  const where = (mode: Mode): Where => ({
    ...{ runtimeLibrary, device, env, mode },
    timeoutMs: Math.max(1, Math.min(HANGS_MS[scale.name], time.leftMs())),
  });
  const reference = { ...where('off'), timeoutMs: HANGS_MS.full };
  const embedded = await embeddedModel(reference).catch((error: unknown) => void say(messageOf(error)));
  const models = testModels().slice(0, scale.models);
  if (embedded && scale.name !== 'software') models.push(embedded);
  else if (!embedded) results.wrong.push('models/haiku on the CPU');
  const cells = new Map(models.map(({ name }) => [name, new Map<Mode, string>()]));
  // The modes of most interest first: the time may not suffice for all.
  const all = [...MODES].reverse().flatMap((mode) => models.map((model) => ({ model, mode })));
  const put = (): void =>
    page.put({
      title: `Correctness on ${device}`,
      text: [
        `${results.wrong.length === 0 ? 'No wrong result so far.' : `WRONG: ${results.wrong.join('; ')}.`} Prompts whose ids are the known ones, by \`--gpu-graph\`.`,
      ],
      head: ['model', ...MODES],
      rows: [...cells].map(([name, modes]) => [name, ...MODES.map((mode) => modes.get(mode) ?? 'not run')]),
    });
  let [spentMs, done] = [0, 0];
  results.compared.all += all.length;
  await inParallel(check.parallel, all, async ({ model, mode }) => {
    const needed = done === 0 ? FIRST_MS : spentMs / done;
    if (!time.fits(needed)) {
      cells.get(model.name)?.set(mode, skippedFor(needed, time.leftMs()));
      return;
    }
    const began = performance.now();
    const outcome = await continueAll(where(mode), model);
    const right = rightOf(model, outcome);
    // At the end of the part, an engine is stopped that may have been right.
    const isCut = outcome.isStopped === true && !time.fits(1);
    const isRight = right === model.expected.length || outcome.isRefused === true || isCut;
    const note = noteMode(check, { device, mode, model: model.name }, outcome.facts);
    const text = (outcome.problem ?? `${right} of ${model.expected.length}`) + note;
    if (!isCut) results.compared.done += 1;
    if (!isRight) results.wrong.push(`${model.name} on ${device}, ${mode}: ${text}`);
    cells.get(model.name)?.set(mode, isRight ? text : `WRONG: ${text}`);
    [spentMs, done] = [spentMs + performance.now() - began, done + 1];
    say(`${device}, ${mode}: ${model.name}: ${cells.get(model.name)?.get(mode)}`);
    put();
  });
  put();
  return scale.name === 'full' ? embedded : models[0];
}
