/**
 * From a folder to a model that can be used: files, facts about them, the engine, the words. Narrates the load; starts no process itself.
 */
import { existsSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import type { EngineFacts, EngineOptions } from '../bridge/protocol.ts';
import { type Config, hubCache } from '../config.ts';
import { narrate } from '../narration/narrate.ts';
import { ChatTemplate } from '../text/chat-template.ts';
import { Tokenizer } from '../text/tokenizer.ts';
import { cachedSnapshot, repoOfSnapshot } from './hub/cache.ts';
import { type HubReference, nameOf, parseReference } from './hub/reference.ts';
import { embeddedModel, libraryPath, locateModel, type ModelFiles } from './locate.ts';
import { type ModelSpec, readSpec } from './spec.ts';

/** The model as soon as it can be used. */
export interface LoadedModel {
  readonly spec: ModelSpec;
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
  const files = await locateModel(modelFolder(settings), settings.dtype);
  const spec = { ...(await readSpec(files)), name: modelName(settings) };
  const context = settings.context ?? spec.contextLength;
  if (context > spec.contextLength)
    throw new Error(`--context ${context} is more than the model's ${spec.contextLength}`);
  const weights = { model_ref: spec.name, model_bytes: files.bytes, dtype: files.dtype };
  const options = {
    runtimeLibrary: settings.runtimeLibrary ?? libraryPath(),
    candidates: [
      {
        // The engine opens the CPU; of what it can open, that is the best.
        device: settings.device === 'auto' ? 'cpu' : settings.device,
        modelFile: files.modelFile,
        weightFiles: [files.modelFile],
      },
    ],
    names: {},
    slots: settings.slots,
    context,
    prefillChunk: settings.prefillChunk,
    speculation: settings.speculation,
  };
  const onOpening = (device: string, runtimeVersion: string): void => {
    narrateDevice(device, runtimeVersion);
    narrate('model.load_started', weights);
  };
  const [facts, words] = await Promise.all([startEngine(options, onOpening), openWords(files)]);
  const { architecture, vocabSize: vocab_size } = spec;
  narrate('model.loaded', {
    ...weights,
    architecture,
    vocab_size,
    context_length: context,
    duration_ms: performance.now() - began,
  });
  narrate('cache.reserved', {
    slots: facts.slots,
    context_length: facts.context,
    cache_bytes: facts.cacheBytes,
    available_bytes: facts.availableBytes,
  });
  return { spec, dtype: files.dtype, facts, ...words };
}

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

/**
 * The folder the settings name, else the embedded model's. What is there by its path wins; else `org/name[@revision]` is what was pulled.
 * @throws Error when it is neither there nor in the hub's cache.
 */
export function modelFolder({ model }: Pick<Config, 'model'>, cache = hubCache()): string {
  const reference = hubReference(model);
  if (reference === undefined) return model ?? embeddedModel();
  const folder = cachedSnapshot(cache, reference);
  if (folder !== undefined) return folder;
  const name = nameOf(reference);
  throw new Error(`${name} is no folder, and is not in the cache: run rbees-workerd pull ${name}`);
}

/** What the model is called: `org/name` of a model from the hub, however it was named; else its folder's base name. */
export function modelName({ model }: Pick<Config, 'model'>): string {
  const folder = model ?? embeddedModel();
  return hubReference(model)?.repo ?? repoOfSnapshot(folder) ?? basename(resolve(folder));
}

function hubReference(model: string | undefined): HubReference | undefined {
  return model === undefined || existsSync(model) ? undefined : parseReference(model);
}

/** Tells which device the runtime opened. */
function narrateDevice(device: string, runtimeVersion: string): void {
  const facts = { device, runtime_version: runtimeVersion };
  if (device.startsWith('cuda')) narrate('device.cuda', facts);
  else if (device.startsWith('coreml')) narrate('device.metal', facts);
  else if (device.startsWith('webgpu')) narrate('device.webgpu', facts);
  else narrate('device.cpu', facts);
}
