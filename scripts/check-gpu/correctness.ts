/**
 * Compares the ids of a device with known ids: every model of test/models with ids that were computed without
 * a runtime, and the embedded model with ids of the CPU. Each model has an engine process of its own.
 */
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { tensorNamesOf } from '../../src/model/spec/genai.ts';
import { CPU, type DeviceName } from '../../src/protocol/devices.ts';
import type { EngineFacts, EngineOptions } from '../../src/protocol/loading.ts';
import { EngineProcess, EngineRefused, EngineStopped, type Task } from './engine-process.ts';
import { ROOT } from './root.ts';

const MODELS = join(ROOT, 'test', 'models');
export const HAIKU = join(ROOT, 'models', 'haiku', 'onnx', 'model.onnx');

/** How the steps of the engine run on a GPU. */
export type Mode = NonNullable<EngineOptions['gpuGraph']>;
export const MODES: readonly Mode[] = ['off', 'eager', 'captured'];

/** The options with which a model is checked. */
export interface Where {
  readonly runtimeLibrary: string;
  readonly device: DeviceName;
  readonly mode?: Mode;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

/** A model, its prompts, and the right ids. */
export interface Case {
  readonly name: string;
  readonly modelFile: string;
  readonly context: number;
  readonly tasks: readonly Task[];
  readonly expected: readonly (readonly number[])[];
}

export interface Outcome {
  readonly facts: EngineFacts | undefined;
  readonly outputs: readonly (readonly number[])[];
  readonly ms: number;
  readonly problem?: string;
  /**
   * True if the engine refuses the model because the device ignores an attribute of an operator: it says so,
   * and computes nothing wrong.
   */
  readonly isRefused?: boolean;
  /** True if the engine was stopped at the end of its time. */
  readonly isStopped?: boolean;
}

interface Expected {
  readonly models: Readonly<
    Record<string, { readonly continuations?: readonly { readonly prompt: number[]; readonly ids: number[] }[] }>
  >;
}

/** Names of inputs and outputs that the configuration beside a model gives. */
function namesOf(file: string): EngineOptions['names'] {
  const configuration = join(dirname(file), 'genai_config.json');
  return existsSync(configuration) ? tensorNamesOf(JSON.parse(readFileSync(configuration, 'utf8'))) : {};
}

function weightFilesOf(file: string): string[] {
  const beside = readdirSync(dirname(file)).filter((name) => /^(\.|_)data/.test(name.slice(basename(file).length)));
  const data = beside.filter((name) => name.startsWith(basename(file))).map((name) => join(dirname(file), name));
  return [file, ...data].map((path) => realpathSync(path));
}

/** The options of an engine for a model file. Drafts are off. */
export const optionsFor = (
  { runtimeLibrary, device, mode }: Pick<Where, 'runtimeLibrary' | 'device' | 'mode'>,
  modelFile: string,
  sizes: Pick<EngineOptions, 'slots' | 'context'>,
): EngineOptions => ({
  runtimeLibrary,
  candidates: [{ device, modelFile, weightFiles: weightFilesOf(modelFile) }],
  names: namesOf(modelFile),
  ...sizes,
  prefillChunk: 'auto',
  threads: 'auto',
  speculation: 'off',
  ...(mode && { gpuGraph: mode }),
});

/** Opens a model in an engine process and continues all prompts at once, greedily. Never throws. */
export async function continueAll(
  where: Where,
  { modelFile, context, tasks }: Pick<Case, 'modelFile' | 'context' | 'tasks'>,
): Promise<Outcome> {
  const began = performance.now();
  let engine: EngineProcess | undefined;
  try {
    engine = await EngineProcess.open(optionsFor(where, modelFile, { slots: tasks.length, context }), where);
    const { facts } = engine;
    const start = performance.now();
    const outputs = await Promise.all(tasks.map((task) => engine?.run(task) ?? { ids: [] }));
    const ms = performance.now() - start;
    await engine.close();
    return { facts, outputs: outputs.map(({ ids }) => ids), ms };
  } catch (error) {
    await engine?.kill();
    const problem = error instanceof Error ? error.message : String(error);
    const isRefused = error instanceof EngineRefused && error.code === 'operator_ignores';
    return {
      facts: engine?.facts,
      outputs: [],
      ms: performance.now() - began,
      problem,
      isRefused,
      isStopped: error instanceof EngineStopped,
    };
  }
}

/** All models of test/models that have known ids. */
export function testModels(): Case[] {
  const { models } = JSON.parse(readFileSync(join(MODELS, 'expected.json'), 'utf8')) as Expected;
  return Object.entries(models).flatMap(([name, { continuations }]) => {
    if (!continuations) return [];
    const longest = Math.max(...continuations.map(({ prompt, ids }) => prompt.length + ids.length));
    return [
      {
        name,
        modelFile: join(MODELS, name),
        context: longest <= 64 ? 64 : 192,
        tasks: continuations.map(({ prompt, ids }) => ({ prompt, maxTokens: ids.length })),
        expected: continuations.map(({ ids }) => ids),
      },
    ];
  });
}

/** Prompts for the embedded model: 5 to 200 ids. */
const HAIKU_TASKS: readonly Task[] = [5, 40, 95, 200].map((length, salt) => ({
  prompt: Array.from({ length }, (_, index) =>
    index === 0 ? 0 : 5 + ((index * 37 + salt * 101 + index * index) % 1000),
  ),
  maxTokens: 64,
}));

/** The embedded model with the ids of the CPU. @throws Error if the CPU fails. */
export async function embeddedModel(where: Where): Promise<Case> {
  const model = { modelFile: HAIKU, context: 512, tasks: HAIKU_TASKS };
  const { mode: _, ...plain } = where;
  const { outputs, problem } = await continueAll({ ...plain, device: CPU }, model);
  if (problem !== undefined) throw new Error(`The CPU does not run the embedded model: ${problem}`);
  return { name: 'models/haiku, 64 ids, against the CPU', ...model, expected: outputs };
}

/** Number of prompts with the right ids. */
export const rightOf = ({ expected }: Pick<Case, 'expected'>, { outputs }: Pick<Outcome, 'outputs'>): number =>
  expected.filter((ids, index) => JSON.stringify(ids) === JSON.stringify(outputs[index])).length;

/** Tokens per second of all prompts together, as text. */
export function speedOf({ outputs, ms, problem }: Outcome): string {
  const count = outputs.reduce((sum, ids) => sum + ids.length, 0);
  return problem === undefined ? `${Math.round((1000 * count) / ms)}` : '–';
}
