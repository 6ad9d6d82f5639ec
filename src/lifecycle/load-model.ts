/**
 * Loads a model from its folder: files, facts about the files, engine, tokenizer and template. Narrates the
 * load. The caller provides the function that starts the engine process.
 */
import type { Config } from '../config/config.ts';
import { weightsFolder } from '../config/network/hub-settings.ts';
import { convertedFolder, reservationsFolder } from '../config/paths.ts';
import { readDecoder } from '../model/checkpoint/read-decoder.ts';
import { modelFolder, modelName } from '../model/folder.ts';
import { locateModel, type ModelFiles } from '../model/locate.ts';
import { ModelError } from '../model/problems.ts';
import { selectedLibrary } from '../model/runtime-library.ts';
import { type ModelSpec, readSpec } from '../model/spec.ts';
import type { ChosenWeights } from '../model/weights.ts';
import { digestWeights } from '../model/weights-digest.ts';
import { narrate } from '../narration/narrate.ts';
import type { DecoderSpec } from '../protocol/decoder/decoder-spec.ts';
import { type DeviceName, devicesToTry, isCpu } from '../protocol/devices.ts';
import { withSmallHeap } from '../protocol/host/javascript-heap.ts';
import { sourceFiles } from '../protocol/host/weights-cache.ts';
import type { Candidate, EngineFacts, EngineOptions, LoadEvent } from '../protocol/loading.ts';
import { GrammarCompiler } from '../text/grammar/grammar-compiler.ts';
import type { ChatTemplates } from '../text/template/chat-templates.ts';
import { GrammarVocabulary } from '../text/tokenizer/grammar-vocabulary.ts';
import type { Tokenizer } from '../text/tokenizer/tokenizer.ts';
import type { ProfileFacts } from '../text/tools/output-profile.ts';
import { narrateCacheLimit, narrateFiles, narrateGpuGraph, narrateLoad, weightsOn } from './load-narration.ts';
import { openText, usableTemplates } from './open-text.ts';
import { turnEndOf } from './turn-end.ts';
import { exactnessFacts } from './weights/conversion-narration.ts';

/** A model that is ready for requests. */
export interface LoadedModel {
  readonly spec: ModelSpec;
  /** Dtype of the weights on the device that opened. */
  readonly dtype: string;
  readonly facts: EngineFacts;
  /** Tells the weights apart from those of other models and dtypes. */
  readonly weightsDigest: string;
  readonly tokenizer: Tokenizer;
  /** Empty for a model without a chat template. */
  readonly templates: ChatTemplates;
  /** Compiles the forms that requests demand of their outputs. */
  readonly grammars: GrammarCompiler;
  /** Facts about the default chat template; absent before they are derived, and without a template. */
  readonly profile?: ProfileFacts | undefined;
  /** The texts of the ids. A request with a grammar waits for `get`. */
  readonly vocabulary: GrammarVocabulary;
}

type ModelText = Pick<LoadedModel, 'tokenizer' | 'templates'>;

/** Starts the engine; `onLoadEvent` receives the progress. */
type StartEngine = (options: EngineOptions, onLoadEvent: (message: LoadEvent) => void) => Promise<EngineFacts>;

/**
 * `auto` runs smaller models on the CPU: starting a step on a GPU takes longer than computing it.
 * Measured with the embedded model, three sequences of 64 tokens, on an H100 and a CPU with 16 cores: CPU
 * 43 ms, CUDA 109 ms, WebGPU 655 ms.
 */
export const SMALL_BYTES = 32 * 2 ** 20;

/** A prompt of one token, and one token of output. */
const LEAST_CONTEXT = 2;

export type ModelSettings = Pick<
  Config,
  | 'model'
  | 'dtype'
  | 'device'
  | 'slots'
  | 'context'
  | 'cacheMemory'
  | 'prefillChunk'
  | 'threads'
  | 'speculation'
  | 'gpuGraph'
  | 'runtimeLibrary'
  | 'weightsCache'
>;

/**
 * Loads the model of the settings. While `startEngine` opens the weights in the engine process, this process
 * reads tokenizer, template and samples of the weights.
 * @throws Error with a message for the operator that names the missing or broken files; EngineRefusedError if
 * the engine cannot open the model.
 */
export function loadModel(settings: ModelSettings, startEngine: StartEngine): Promise<LoadedModel> {
  return withSmallHeap(() => load(settings, startEngine));
}

async function load(settings: ModelSettings, startEngine: StartEngine): Promise<LoadedModel> {
  const began = performance.now();
  const { files, spec, decoder } = await readModel(settings);
  narrateFiles(spec);
  const options = engineOptions(settings, files, spec, decoder);
  const cpuReason = staysOnCpu(settings, files) ? 'the model is small and faster there than on a GPU' : undefined;
  const onLoadEvent = (message: LoadEvent): void => narrateLoad(message, spec.name, files, cpuReason);
  const [facts, digests, text] = await Promise.all([
    startEngine(options, onLoadEvent),
    digestsOf(options),
    openText(files, {
      tokens: spec.tokens,
      onThreadReplaced: (reason) => narrate('tokenizer.replaced', { reason }),
    }),
  ]);
  const { bytes, dtype, weightFiles, quantize } = weightsOn(facts.device, files);
  const { architecture, vocabSize: vocab_size } = spec;
  narrate('model.loaded', {
    model_ref: spec.name,
    model_bytes: bytes,
    dtype,
    architecture,
    vocab_size,
    context_length: options.context,
    duration_ms: performance.now() - began,
    ...exactnessFacts(facts),
  });
  narrate('cache.reserved', {
    slots: facts.slots,
    context_length: facts.context,
    cache_bytes: facts.cacheBytes,
    cache_update: facts.cacheUpdate,
    chosen_by: settings.slots === 'auto' ? 'auto' : 'asked',
    available_bytes: facts.availableBytes,
  });
  narrateCacheLimit(facts);
  narrateGpuGraph(facts, settings.gpuGraph);
  const loaded = { tokenizer: text.tokenizer, templates: usableTemplates(text, facts.idLimit) };
  const grammars = new GrammarCompiler({
    onThreadReplaced: (reason) => narrate('grammar.thread_replaced', { reason }),
  });
  const vocabulary = new GrammarVocabulary(text.tokenizer, Math.min(facts.vocabSize, facts.idLimit));
  const weightsDigest = digests.get(facts.device) ?? (await digestWeights(weightFiles, quantize));
  return { spec: await withEnd(spec, loaded), dtype, facts, weightsDigest, ...loaded, grammars, vocabulary };
}

/** The files of a model and their facts. */
interface ReadModel {
  readonly files: ModelFiles;
  readonly spec: ModelSpec;
  /** The decoder of a checkpoint. */
  readonly decoder: DecoderSpec | undefined;
}

/** The files and their facts. Narrates each problem separately: one line is too short for all of them. */
async function readModel(settings: ModelSettings): Promise<ReadModel> {
  try {
    const files = await locateModel(modelFolder(settings), settings.dtype, devicesToTry(settings.device));
    const spec = { ...(await readSpec(files, settings)), name: modelName(settings) };
    return { files, spec, decoder: await readDecoder(files, settings.context ?? spec.contextLength) };
  } catch (error) {
    for (const { file, problem } of error instanceof ModelError ? error.problems : [])
      narrate('model.problem', { model_ref: modelName(settings), file, reason: problem });
    throw error;
  }
}

/** True if `auto` runs the model on the CPU even if the machine has a GPU. */
export const staysOnCpu = ({ device }: Pick<Config, 'device'>, { choices }: Pick<ModelFiles, 'choices'>): boolean =>
  device === 'auto' && choices.every(({ bytes }) => bytes < SMALL_BYTES);

/**
 * The engine's options: the devices to try, each with its weights.
 * @param decoder the decoder of the checkpoint, if a device takes the checkpoint
 * @throws Error if `--context` is longer than the model's context length, and for a model of one token
 */
export function engineOptions(
  settings: ModelSettings,
  files: ModelFiles,
  spec: ModelSpec,
  decoder?: DecoderSpec,
): EngineOptions {
  const context = settings.context ?? spec.contextLength;
  if (context > spec.contextLength)
    throw new Error(`use --context ${spec.contextLength} or less: ${context} is more than the model's context length`);
  if (context < LEAST_CONTEXT)
    throw new Error(
      `use another model: "max_position_embeddings" or "model_max_length" allows ${context} token, and ${LEAST_CONTEXT} are needed`,
    );
  const choices = staysOnCpu(settings, files) ? files.choices.filter(({ device }) => isCpu(device)) : files.choices;
  const folder = reservationsFolder();
  const weights = weightsFolder(settings.weightsCache);
  return {
    runtimeLibrary: selectedLibrary(settings),
    candidates: choices.map((choice) => candidateOf(choice, decoder)),
    names: spec.names,
    slots: settings.slots,
    context,
    cacheMemory: settings.cacheMemory === 'auto' ? 'auto' : settings.cacheMemory * 2 ** 20,
    prefillChunk: settings.prefillChunk,
    threads: settings.threads,
    speculation: settings.speculation,
    gpuGraph: settings.gpuGraph,
    ...(folder !== undefined && { reservations: folder }),
    ...(weights !== undefined && { weightsCache: { folder: weights } }),
    ...(decoder !== undefined && { temporaryFolder: convertedFolder() }),
  };
}

/** The weights of a device for the engine. */
export const candidateOf = (
  { device, modelFile, weightFiles, checkpoint, quantize }: ChosenWeights,
  decoder: DecoderSpec | undefined,
): Candidate => ({
  ...{ device, modelFile, weightFiles },
  ...(checkpoint && decoder && { decoder, sources: sourceFiles(weightFiles), ...(quantize && { quantize }) }),
});

/**
 * The digests of the weights, by the device that would use them: the engine has not chosen its device yet. A
 * device whose files cannot be read is absent, because the engine reports the cause.
 */
async function digestsOf({ candidates }: EngineOptions): Promise<ReadonlyMap<DeviceName, string>> {
  const digests = new Map<DeviceName, string>();
  const digest = async ({ device, weightFiles, quantize }: EngineOptions['candidates'][number]): Promise<void> => {
    digests.set(device, await digestWeights(weightFiles, quantize));
  };
  await Promise.allSettled(candidates.map(digest));
  return digests;
}

/** Adds the end of a turn to a model whose files name no end of a sequence. */
async function withEnd(spec: ModelSpec, { tokenizer, templates }: ModelText): Promise<ModelSpec> {
  if (spec.eosIds.length > 0) return spec;
  const template = templates.fallback?.template;
  const found = template && (await turnEndOf(template, tokenizer));
  const end = found && found.id < spec.vocabSize ? found : undefined;
  narrate('model.no_end', { model_ref: spec.name, end_token: end?.text, end_id: end?.id });
  return end ? { ...spec, eosIds: [end.id] } : spec;
}

/** Ends the threads of a model. */
export async function closeModel({ tokenizer, grammars }: LoadedModel): Promise<void> {
  await Promise.all([tokenizer.close(), grammars.close()]);
}
