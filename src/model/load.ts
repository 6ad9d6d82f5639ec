/**
 * From a folder to a model that can be used: files, facts about them, the engine, the words. Narrates the load; starts no process itself.
 */
import { basename } from 'node:path';
import type { EngineFacts, EngineOptions } from '../bridge/protocol.ts';
import type { Config } from '../config.ts';
import { narrate } from '../narration/narrate.ts';
import { ChatTemplate } from '../text/chat-template.ts';
import { Tokenizer } from '../text/tokenizer.ts';
import { devicesToTry } from './devices.ts';
import { embeddedModel, locateModel, type ModelFiles } from './locate.ts';
import { ModelError } from './problems.ts';
import { libraryPath } from './runtime-library.ts';
import { type ModelSpec, readSpec } from './spec.ts';
import type { ChosenWeights } from './weights.ts';

/** The model as soon as it can be used. */
export interface LoadedModel {
  readonly spec: ModelSpec;
  /** Of the weights on the device that opened. */
  readonly dtype: string;
  readonly facts: EngineFacts;
  readonly tokenizer: Tokenizer;
  readonly template: ChatTemplate | undefined;
}

/** Starts the engine process; the second argument hears of the device as soon as it is chosen. */
type StartEngine = (
  options: EngineOptions,
  onOpening: (device: string, runtimeVersion: string) => void,
) => Promise<EngineFacts>;

const REHEARSAL = 'Write a haiku about morning light.';

type ModelSettings = Pick<
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
  const onOpening = (device: string, runtimeVersion: string): void => {
    narrateDevice(device, runtimeVersion);
    const weights = weightsOn(device, files);
    const dtypes = files.dtypes.join(', ');
    narrate('model.load_started', { ...told(spec, weights), device, reason: weights.reason, dtypes });
  };
  const [facts, words] = await Promise.all([startEngine(options, onOpening), openWords(files)]);
  const weights = weightsOn(facts.device, files);
  const { architecture, vocabSize: vocab_size } = spec;
  narrate('model.loaded', {
    ...told(spec, weights),
    architecture,
    vocab_size,
    context_length: options.context,
    duration_ms: performance.now() - began,
  });
  narrate('cache.reserved', {
    slots: facts.slots,
    context_length: facts.context,
    cache_bytes: facts.cacheBytes,
    available_bytes: facts.availableBytes,
  });
  return { spec, dtype: weights.dtype, facts, ...words };
}

/** The files and what they say. Every problem is told in a line of its own: all of them do not fit into one. */
async function readModel(settings: ModelSettings): Promise<{ files: ModelFiles; spec: ModelSpec }> {
  try {
    const files = await locateModel(modelFolder(settings), settings.dtype, devicesToTry(settings.device));
    return { files, spec: await readSpec(files) };
  } catch (error) {
    for (const { file, problem } of error instanceof ModelError ? error.problems : [])
      if (file !== '') narrate('model.problem', { model_ref: basename(modelFolder(settings)), file, reason: problem });
    throw error;
  }
}

/** What the engine is told: the devices to try, each with its weights. */
function engineOptions(settings: ModelSettings, files: ModelFiles, spec: ModelSpec): EngineOptions {
  const context = settings.context ?? spec.contextLength;
  if (context > spec.contextLength)
    throw new Error(`--context ${context} is more than the model's ${spec.contextLength}`);
  return {
    runtimeLibrary: settings.runtimeLibrary ?? libraryPath(),
    candidates: files.choices.map(({ device, modelFile, weightFiles }) => ({ device, modelFile, weightFiles })),
    names: spec.names,
    slots: settings.slots,
    context,
    prefillChunk: settings.prefillChunk,
    speculation: settings.speculation,
  };
}

/** The weights that were chosen for the device that the engine names. */
function weightsOn(device: string, { choices }: ModelFiles): ChosenWeights {
  const weights = choices.find((choice) => choice.device === device);
  if (weights === undefined) throw new Error(`The engine opened ${device}, for which no weights were chosen`);
  return weights;
}

const told = (spec: ModelSpec, { bytes, dtype }: ChosenWeights) => ({
  model_ref: spec.name,
  model_bytes: bytes,
  dtype,
});

/** Opens tokenizer and template, and uses both once: the first use takes milliseconds that no request should wait for. */
async function openWords(files: ModelFiles): Promise<Pick<LoadedModel, 'tokenizer' | 'template'>> {
  const [tokenizer, template] = await Promise.all([Tokenizer.open(files), ChatTemplate.open(files)]);
  tokenizer.decode(await tokenizer.encode(rehearsed(template), { addSpecialTokens: template === undefined }));
  return { tokenizer, template };
}

function rehearsed(template: ChatTemplate | undefined): string {
  try {
    return template?.render([{ role: 'user', content: REHEARSAL }]) ?? REHEARSAL;
  } catch {
    return REHEARSAL; // a template may refuse a lone user message; a request that it refuses is told why
  }
}

/** The folder the settings name, else the embedded model's. */
export function modelFolder({ model }: Pick<Config, 'model'>): string {
  return model ?? embeddedModel();
}

/** Tells which device the runtime opened. */
function narrateDevice(device: string, runtimeVersion: string): void {
  const facts = { device, runtime_version: runtimeVersion };
  if (device.startsWith('cuda')) narrate('device.cuda', facts);
  else if (device.startsWith('coreml')) narrate('device.metal', facts);
  else if (device.startsWith('webgpu')) narrate('device.webgpu', facts);
  else narrate('device.cpu', facts);
}
