/**
 * Events beside the captured steps of other sequences on WebGPU in software: a cancellation, a pause, outputs
 * of one prompt, a reused prefix, a long prompt, scores and drafts. The ids are those of the CPU.
 */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DeviceName } from '../../../src/protocol/devices.ts';
import type { EngineOptions } from '../../../src/protocol/loading.ts';
import type { SequenceRequest } from '../../../src/protocol/messages.ts';
import { candidateOf } from '../../support/checkpoints/candidate.ts';
import { writeCheckpoint } from '../../support/checkpoints/folder.ts';
import { CONTEXT, checkpointNamed } from '../../support/checkpoints/models.ts';
import { softwareVulkan } from '../../support/vulkan.ts';
import { haikuVocabulary, literal } from '../grammars.ts';
import { Bench, prompt as longPrompt, modelFile, request } from '../harness.ts';
import { idsOf, type Outcome, openEngine, stopEngines, TIMEOUT_MS } from './engine-process.ts';

const SHAPE: Partial<EngineOptions> = { context: 160, prefillChunk: 8, gpuGraph: 'captured' };
/** A small checkpoint, whose steps are fast in software. */
const name = 'llama-linear';
const VOCABULARY = 250;
const root = realpathSync(mkdtempSync(join(tmpdir(), 'step-events-')));
afterAll(() => rmSync(root, { recursive: true }));

async function checkpoint(device: DeviceName): Promise<Partial<EngineOptions>> {
  const folder = join(root, name);
  writeCheckpoint(folder, checkpointNamed(name));
  return { ...SHAPE, candidates: [await candidateOf(folder, device, CONTEXT)] };
}

/** The embedded model, which has a vocabulary of texts. */
const haiku = (device: DeviceName): Partial<EngineOptions> => ({
  ...SHAPE,
  candidates: [{ device, modelFile, weightFiles: [modelFile] }],
});
const prompt = (length: number, salt = 0): number[] => longPrompt(length, salt).map((id) => id % VOCABULARY);

describe.runIf(softwareVulkan)('beside captured steps', { timeout: TIMEOUT_MS }, () => {
  let cpu: Bench;
  let engine: Awaited<ReturnType<typeof openEngine>>;
  beforeAll(async () => {
    cpu = new Bench(await checkpoint('cpu'));
    engine = await openEngine(await checkpoint('webgpu'));
    expect(engine.facts?.gpuGraph).toEqual({ mode: 'captured' });
  }, TIMEOUT_MS);
  afterAll(() => {
    stopEngines();
    cpu?.engine.close();
  });

  /** Sequences that decode for a while, each with its own prompt. */
  const decoding = (count: number, maxTokens = 24): SequenceRequest[] =>
    Array.from({ length: count }, (_, index) => request({ prompt: prompt(5 + index, index), maxTokens }));
  /** The ids of the CPU for the same requests. */
  const expected = async (requests: readonly SequenceRequest[], bench = cpu): Promise<number[][]> =>
    (await Promise.all(requests.map((one) => bench.submit(one)))).map(({ ids }) => ids);
  const check = async (
    requests: readonly SequenceRequest[],
    outcomes: readonly Outcome[],
    bench = cpu,
  ): Promise<void> => expect(outcomes.map(idsOf)).toEqual(await expected(requests, bench));

  it('a sequence is cancelled: the others go on, and the next one gets its slot', async () => {
    const requests = decoding(4);
    const runs = requests.map((one) => engine.submit(one));
    const cancelled = requests[1]!;
    await engine.untilTokens(cancelled.id, 3);
    engine.send({ kind: 'cancel', id: cancelled.id });
    const next = request({ prompt: prompt(9, 9), maxTokens: 12 });
    const outcomes = await Promise.all([...runs, engine.submit(next)]);
    const ids = await expected([...requests, next]);
    const stopped = idsOf(outcomes[1]!);
    expect(outcomes[1]!.finish.reason).toBe('cancelled');
    expect(stopped.length).toBeLessThan(24);
    expect(stopped).toEqual(ids[1]!.slice(0, stopped.length));
    expect(outcomes.map(idsOf).toSpliced(1, 1)).toEqual(ids.toSpliced(1, 1));
  });

  it('a sequence pauses in its row, which other steps pad, and resumes', async () => {
    const requests = decoding(4);
    const runs = requests.map((one) => engine.submit(one));
    const paused = requests[0]!;
    await engine.untilTokens(paused.id, 2);
    engine.send({ kind: 'pause', id: paused.id });
    await Promise.all(runs.slice(1));
    // The other rows get new sequences while it pauses.
    const more = decoding(3, 8);
    const after = await Promise.all(more.map((one) => engine.submit(one)));
    expect(engine.hasEnded(paused.id)).toBe(false);
    engine.send({ kind: 'resume', id: paused.id });
    await check([...requests, ...more], [...(await Promise.all(runs)), ...after]);
  });

  it('outputs of one prompt share its computation', async () => {
    const first = request({ prompt: prompt(30, 5), maxTokens: 12, sampling: { temperature: 1, seed: 1, topK: 20 } });
    const others = [2, 3].map((seed) =>
      request({ ...first, id: request().id, copyOf: first.id, sampling: { ...first.sampling, seed } }),
    );
    const beside = request({ prompt: prompt(6, 8), maxTokens: 24 });
    const requests = [beside, first, ...others];
    const outcomes = await Promise.all(requests.map((one) => engine.submit(one)));
    await check(requests, outcomes);
    for (const { finish } of outcomes.slice(2)) expect(finish.cachedTokens).toBeGreaterThan(20);
  });

  it('a prefix is used again after the end of its sequence, also from a row that other steps moved', async () => {
    const beside = decoding(2, 40);
    const first = request({ prompt: prompt(50, 6), maxTokens: 6 });
    const runs = beside.map((one) => engine.submit(one));
    const before = await engine.submit(first);
    // Another sequence moves the rows meanwhile.
    const between = request({ prompt: prompt(12, 7), maxTokens: 10 });
    const moved = await engine.submit(between);
    const second = request({ prompt: [...first.prompt, ...idsOf(before), 7, 8, 9], maxTokens: 10 });
    const after = await engine.submit(second);
    expect(after.finish.cachedTokens).toBeGreaterThanOrEqual(50);
    await check([...beside, first, between, second], [...(await Promise.all(runs)), before, moved, after]);
  });

  it('a prompt is read in chunks, and its row is moved between them', async () => {
    const requests = [...decoding(3, 30), request({ prompt: prompt(100, 4), maxTokens: 8 })];
    const runs = requests.slice(0, 3).map((one) => engine.submit(one));
    await engine.untilTokens(requests[0]!.id, 2);
    runs.push(engine.submit(requests[3]!));
    const outcomes = await Promise.all(runs);
    await check(requests, outcomes);
    expect(outcomes[3]!.notes.filter(({ note }) => note === 'prefill').length).toBeGreaterThan(2);
  });

  it('a prompt is scored', async () => {
    const scored = request({ prompt: prompt(20, 3), maxTokens: 4, promptLogprobs: 2 });
    const beside = decoding(3);
    const [outcome, ...others] = await Promise.all([scored, ...beside].map((one) => engine.submit(one)));
    const scores = cpu.reports.length;
    await check([scored, ...beside], [outcome!, ...others]);
    const reference = cpu.reports
      .slice(scores)
      .flatMap(({ sequences }) => sequences)
      .flatMap(({ id, promptScores }) => (id === scored.id ? (promptScores?.scores ?? []) : []));
    expect(reference).toHaveLength(19);
    expect(outcome!.promptScores.map(({ id }) => id)).toEqual(reference.map(({ id }) => id));
    for (const [index, { logprob }] of outcome!.promptScores.entries())
      expect(Math.abs(logprob - reference[index]!.logprob)).toBeLessThan(2e-3);
  });

  it('a draft is verified in one run, before and after steps with other sequences', async () => {
    const bench = new Bench(haiku('cpu'));
    bench.engine.setVocabulary(haikuVocabulary);
    const drafting = await openEngine({ ...haiku('webgpu'), speculation: 'on' });
    drafting.send({ kind: 'vocabulary', data: haikuVocabulary });
    const forced = request({ grammar: literal('{"frog":true,"pond":false}'), maxTokens: 40 });
    const alone = await drafting.submit(forced);
    expect(drafting.most(forced.id)).toBeGreaterThan(1);
    const requests = [...decoding(3, 12), { ...forced, id: request().id }];
    const outcomes = await Promise.all(requests.map((one) => drafting.submit(one)));
    const again = { ...forced, id: request().id };
    await check([forced, ...requests, again], [alone, ...outcomes, await drafting.submit(again)], bench);
    bench.engine.close();
  });
});
