/**
 * The generated models of test/models, and the ids that each must generate on any device. The ids were
 * computed without the graphs (tools/reference_llama.py).
 */
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { tensorNamesOf } from '../../src/model/spec/genai.ts';
import type { DeviceName } from '../../src/protocol/devices.ts';
import type { EngineOptions } from '../../src/protocol/loading.ts';
import { Bench } from './harness.ts';

const MODELS = fileURLToPath(new URL('../models/', import.meta.url));

interface Expected {
  readonly made: string;
  readonly vocab: number;
  readonly continuations?: readonly { readonly prompt: readonly number[]; readonly ids: readonly number[] }[];
}

const { models } = JSON.parse(readFileSync(join(MODELS, 'expected.json'), 'utf8')) as {
  models: Record<string, Expected>;
};

/** A model that continues prompts. */
export interface ReferenceModel {
  /** Path from test/models. */
  readonly name: string;
  readonly file: string;
  /** Its attention writes a longer cache with each run. */
  readonly grows: boolean;
  /** The model computes in float16, or has float16 attention. */
  readonly half: boolean;
  readonly continuations: NonNullable<Expected['continuations']>;
}

export const REFERENCE: readonly ReferenceModel[] = Object.entries(models).flatMap(([name, { made, continuations }]) =>
  continuations
    ? [
        {
          name,
          file: join(MODELS, name),
          grows: made.includes('--concat'),
          half: made.includes('f16') || made.includes('fp16'),
          continuations,
        },
      ]
    : [],
);

/** Names of inputs and outputs, for a model whose names only its configuration states. */
function namesOf(file: string): EngineOptions['names'] {
  const configuration = join(dirname(file), 'genai_config.json');
  return existsSync(configuration) ? tensorNamesOf(JSON.parse(readFileSync(configuration, 'utf8'))) : {};
}

/** The model's file and its external data files. */
function weightFiles(file: string): string[] {
  const beside = readdirSync(dirname(file)).filter(
    (name) => name.startsWith(`${basename(file)}_`) || name === `${basename(file)}.data`,
  );
  return [file, ...beside.map((name) => join(dirname(file), name))].map((path) => realpathSync(path));
}

export function optionsFor(model: ReferenceModel, device: DeviceName): Partial<EngineOptions> {
  const longest = Math.max(...model.continuations.map(({ prompt, ids }) => prompt.length + ids.length));
  return {
    candidates: [{ device, modelFile: model.file, weightFiles: weightFiles(model.file) }],
    names: namesOf(model.file),
    context: longest <= 64 ? 64 : 192,
  };
}

/** Continues all prompts of a model at once, greedily. @returns the ids of each. */
export async function continueAll(
  model: ReferenceModel,
  device: DeviceName,
  overrides: Partial<EngineOptions> = {},
): Promise<number[][]> {
  const bench = new Bench({ ...optionsFor(model, device), ...overrides });
  try {
    return await idsOf(bench, model);
  } finally {
    bench.engine.close();
  }
}

/** The ids that an open engine generates for all prompts of a model at once. */
export async function idsOf(bench: Bench, model: ReferenceModel): Promise<number[][]> {
  const outcomes = await Promise.all(
    model.continuations.map(({ prompt, ids }) => bench.run({ prompt, maxTokens: ids.length })),
  );
  return outcomes.map(({ ids, finish }) => {
    if ('message' in finish) throw new Error(finish.message);
    return ids;
  });
}

export const expectedOf = ({ continuations }: ReferenceModel): readonly (readonly number[])[] =>
  continuations.map(({ ids }) => ids);
