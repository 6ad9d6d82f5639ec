/**
 * From a folder to a model that can be used: files, facts about them, the engine, the words. Narrates the load; starts no process itself.
 */

import type { Config } from '../config/config.ts';
import { modelFolder, modelName } from '../model/folder.ts';
import { locateModel, type ModelFiles } from '../model/locate.ts';
import { ModelError } from '../model/problems.ts';
import { libraryPath } from '../model/runtime-library.ts';
import { type ModelSpec, readSpec } from '../model/spec.ts';
import { readTemplate } from '../model/template-source.ts';
import { narrate } from '../narration/narrate.ts';
import { devicesToTry } from '../protocol/devices.ts';
import type { EngineFacts, EngineOptions, LoadEvent } from '../protocol/loading.ts';
import { ChatTemplate } from '../text/template/chat-template.ts';
import { Tokenizer } from '../text/tokenizer/tokenizer.ts';
import { narrateLoad, weightsOn } from './load-narration.ts';

/** The model as soon as it can be used. */
export interface LoadedModel {
  readonly spec: ModelSpec;
  /** Of the weights on the device that opened. */
  readonly dtype: string;
  readonly facts: EngineFacts;
  readonly tokenizer: Tokenizer;
  readonly template: ChatTemplate | undefined;
}

/** Starts the engine process; the second argument hears how the opening goes on. */
type StartEngine = (options: EngineOptions, onLoadEvent: (message: LoadEvent) => void) => Promise<EngineFacts>;

/**
 * `auto` leaves smaller models on the CPU: to start a step on a GPU takes longer than to compute one. The embedded model, three sequences of
 * 64 tokens on an H100 and the 16 cores beside it: CPU 43 ms, CUDA 109, WebGPU 655.
 */
export const SMALL_BYTES = 32 * 2 ** 20;

const REHEARSAL = 'Write a haiku about morning light.';

export type ModelSettings = Pick<
  Config,
  'model' | 'dtype' | 'device' | 'slots' | 'context' | 'prefillChunk' | 'speculation' | 'runtimeLibrary'
>;

/**
 * Loads the model of the settings; `startEngine` opens it in the engine process while its words are read here.
 * @throws Error with a message for the operator: what is missing, broken or refused.
 */
export async function loadModel(settings: ModelSettings, startEngine: StartEngine): Promise<LoadedModel> {
  const began = performance.now();
  const { files, spec } = await readModel(settings);
  const options = engineOptions(settings, files, spec);
  const passedBy = staysOnCpu(settings, files) ? 'the model is small, and faster there than on a GPU' : undefined;
  const onLoadEvent = (message: LoadEvent): void => narrateLoad(message, spec.name, files, passedBy);
  const [facts, words] = await Promise.all([startEngine(options, onLoadEvent), openWords(files)]);
  const { bytes, dtype } = weightsOn(facts.device, files);
  const { architecture, vocabSize: vocab_size } = spec;
  narrate('model.loaded', {
    model_ref: spec.name,
    model_bytes: bytes,
    dtype,
    architecture,
    vocab_size,
    context_length: options.context,
    duration_ms: performance.now() - began,
  });
  narrate('cache.reserved', {
    slots: facts.slots,
    context_length: facts.context,
    cache_bytes: facts.cacheBytes,
    cache_update: facts.cacheUpdate,
    chosen_by: settings.slots === 'auto' ? 'auto' : 'asked',
    available_bytes: facts.availableBytes,
  });
  return { spec, dtype, facts, ...words };
}

/** The files and what they say. Every problem is told in a line of its own: all of them do not fit into one. */
async function readModel(settings: ModelSettings): Promise<{ files: ModelFiles; spec: ModelSpec }> {
  try {
    const files = await locateModel(modelFolder(settings), settings.dtype, devicesToTry(settings.device));
    return { files, spec: { ...(await readSpec(files)), name: modelName(settings) } };
  } catch (error) {
    for (const { file, problem } of error instanceof ModelError ? error.problems : [])
      if (file !== '') narrate('model.problem', { model_ref: modelName(settings), file, reason: problem });
    throw error;
  }
}

/** Whether `auto` leaves the model on the CPU, on whichever machine. */
export const staysOnCpu = ({ device }: Pick<Config, 'device'>, { choices }: Pick<ModelFiles, 'choices'>): boolean =>
  device === 'auto' && choices.every(({ bytes }) => bytes < SMALL_BYTES);

/**
 * What the engine is told: the devices to try, each with its weights.
 * @throws Error for a context that the model does not have.
 */
export function engineOptions(settings: ModelSettings, files: ModelFiles, spec: ModelSpec): EngineOptions {
  const context = settings.context ?? spec.contextLength;
  if (context > spec.contextLength)
    throw new Error(`--context ${context} is more than the model's ${spec.contextLength}`);
  const choices = staysOnCpu(settings, files) ? files.choices.filter(({ device }) => device === 'cpu') : files.choices;
  return {
    runtimeLibrary: settings.runtimeLibrary ?? libraryPath(),
    candidates: choices.map(({ device, modelFile, weightFiles }) => ({ device, modelFile, weightFiles })),
    names: spec.names,
    slots: settings.slots,
    context,
    prefillChunk: settings.prefillChunk,
    speculation: settings.speculation,
  };
}

/** Opens tokenizer and template, and uses both once: the first use takes milliseconds that no request should wait for. */
async function openWords(files: ModelFiles): Promise<Pick<LoadedModel, 'tokenizer' | 'template'>> {
  const [tokenizer, template] = await Promise.all([Tokenizer.open(files), openTemplate(files)]);
  tokenizer.decode(await tokenizer.encode(rehearsed(template), { addSpecialTokens: template === undefined }));
  return { tokenizer, template };
}

async function openTemplate(files: ModelFiles): Promise<ChatTemplate | undefined> {
  const source = await readTemplate(files);
  return source && new ChatTemplate(source);
}

function rehearsed(template: ChatTemplate | undefined): string {
  try {
    return template?.render([{ role: 'user', content: REHEARSAL }]) ?? REHEARSAL;
  } catch {
    return REHEARSAL; // a template may refuse a lone user message; a request that it refuses is told why
  }
}
