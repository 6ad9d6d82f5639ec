/**
 * `rbees-workerd pull org/name[/folder][@revision]`: downloads the files that a model needs from the hub into
 * the cache shared with huggingface_hub, and checks them with `--verify`. Prints the model's folder or its
 * GGUF file to stdout, and progress and errors to stderr.
 */
import { dirname, join, posix } from 'node:path';
import { type HubSettings, readHubSettings } from '../../config/network/hub-settings.ts';
import { cachedSnapshot, HubCache, storageProblem } from '../../model/hub/cache.ts';
import { type Choice, chooseFiles } from '../../model/hub/choice.ts';
import { Connection } from '../../model/hub/connection.ts';
import { cachedGguf } from '../../model/hub/gguf/cached-gguf.ts';
import { requestsGguf } from '../../model/hub/gguf/choose-files.ts';
import { PullError } from '../../model/hub/pull-error.ts';
import { nameOf } from '../../model/hub/reference.ts';
import { readRepository } from '../../model/hub/repository.ts';
import { locateModel } from '../../model/locate.ts';
import { ModelError } from '../../model/problems.ts';
import { keepSecret } from '../../narration/sanitize.ts';
import type { DeviceName } from '../../protocol/devices.ts';
import { messageOf } from '../../protocol/text/error-message.ts';
import { Terminal } from '../terminal.ts';
import { reportUnknown } from '../unknown-settings.ts';
import { fetchFiles, filesAt, missingFiles, modelPath, type PullContext } from './fetch-files.ts';
import { expectGguf } from './gguf-header.ts';
import { decoderName, expectArchitecture, shardNames } from './named-weights.ts';
import { ProgressBar } from './progress-bar.ts';
import { type PullArguments, readArguments } from './pull-arguments.ts';
import { stopSignal } from './stop-signal.ts';
import { Verifier, verifyOffline } from './verifier.ts';

/**
 * The graph can name data files that the choice by file names misses. At most this many rounds download such
 * files.
 */
const MAX_ROUNDS = 3;

/**
 * Runs the command. Resolves with the exit code: 0, or 1 after an error of the hub, the model or the disk. A
 * signal ends it at once, also while it waits for the hub.
 * @throws ConfigError if the command line or a variable of the hub or of a proxy is wrong.
 */
export function pull(args: readonly string[]): Promise<number> {
  return Promise.race([runPull(args), stopSignal()]);
}

async function runPull(args: readonly string[]): Promise<number> {
  const task = readArguments(args);
  const settings = readHubSettings();
  keepSecret(settings.token ?? '');
  const proxy = settings.offline ? undefined : settings.proxyFor(new URL(settings.endpoint));
  keepSecret(proxy?.password ?? '');
  await reportUnknown(task.unknown);
  const progress = new ProgressBar(Terminal.stderr());
  try {
    if (settings.tokenProblem !== undefined) progress.say(settings.tokenProblem);
    const folder = settings.offline
      ? await fromCache(task, settings, progress)
      : await fromHub(task, settings, progress);
    await Terminal.stdout().printPath(folder);
    return 0;
  } catch (error) {
    const isKnown = error instanceof PullError || error instanceof ModelError;
    const reason = isKnown ? error.message : storageProblem(error, settings.cache);
    if (reason === undefined) throw error;
    progress.say(`rbees-workerd: ${reason}`);
    return 1;
  } finally {
    progress.end();
  }
}

/** `HF_HUB_OFFLINE`: uses the cached files and sends no request. */
async function fromCache(
  { reference, selection, verify }: PullArguments,
  { cache }: HubSettings,
  progress: ProgressBar,
): Promise<string> {
  const { dtype, device, format } = selection;
  const folder = cachedSnapshot(cache, reference);
  if (folder === undefined)
    throw new PullError(
      `HF_HUB_OFFLINE is set, and ${nameOf(reference)} is not in the cache ${cache}: unset HF_HUB_OFFLINE to pull it.`,
    );
  const gguf = ggufFrom(folder, reference, format);
  const model = gguf ?? folder;
  const located = await locateModel(model, dtype, [device], format).catch((error: unknown) => {
    // A damaged file can have other problems; its checksum explains them.
    if (verify && error instanceof ModelError) return error;
    throw error;
  });
  const isBroken = located instanceof ModelError;
  const files = gguf === undefined ? folder : dirname(gguf);
  const paths = isBroken
    ? located.problems.map(({ file }) => join(files, file))
    : located.choices.flatMap(({ weightFiles }) => weightFiles);
  const blobs = join(new HubCache(cache, reference.repo).folder, 'blobs');
  if (verify)
    await verifyOffline({ folder: files, blobs, paths }, nameOf(reference), (sentence) => progress.say(sentence));
  if (isBroken) throw located;
  return model;
}

/** @throws PullError instead of other errors, for the exit code 1 */
function ggufFrom(...query: Parameters<typeof cachedGguf>): string | undefined {
  try {
    return cachedGguf(...query);
  } catch (error) {
    throw new PullError(`HF_HUB_OFFLINE is set. ${messageOf(error)}`);
  }
}

async function fromHub(
  { reference, selection, verify }: PullArguments,
  settings: HubSettings,
  progress: ProgressBar,
): Promise<string> {
  const say = (sentence: string): void => progress.say(sentence);
  const connection = new Connection(settings, reference, say);
  const cache = new HubCache(settings.cache, reference.repo, settings.symlinks);
  const repository = await readRepository(connection, reference);
  const verifier = new Verifier(verify, say);
  const context: PullContext = { repository, cache, connection, settings, progress, verifier };
  const decoder = requestsGguf(repository, selection) ? undefined : await decoderName(context);
  const withDecoder = { ...selection, decoder };
  const choice = chooseFiles(repository, { ...withDecoder, shards: await shardNames(context, withDecoder) });
  await expectArchitecture(context, choice);
  await expectGguf(context, choice, selection.device);
  await fetchFiles(context, choice.files, choice.why);
  const problem = await fetchNamedFiles(context, choice, selection.device);
  // The last step, because a revision in the cache must be complete.
  await cache.writeRef(reference.revision, repository.commit);
  if (problem !== undefined) throw problem;
  verifier.summarize(nameOf(reference));
  return modelPath(context, choice);
}

/**
 * Locates the model as a worker does, and downloads the missing files that the repository has. Returns the
 * problems that remain.
 */
async function fetchNamedFiles(
  context: PullContext,
  choice: Choice,
  device: DeviceName,
): Promise<ModelError | undefined> {
  const { repository } = context;
  const { dtype, format } = choice;
  const model = modelPath(context, choice);
  const folder = choice.modelFile === undefined ? repository.reference.folder : posix.dirname(choice.modelFile);
  for (let round = 1; ; round++) {
    try {
      const { choices } = await locateModel(model, dtype, [device], format);
      if (context.verifier.checksEverything) {
        const weights = choices.flatMap(({ weightFiles }) => weightFiles);
        await fetchFiles(context, await filesAt(context, weights), 'damaged weights');
      }
      return undefined;
    } catch (error) {
      if (!(error instanceof ModelError)) throw error;
      const namedPaths = new Set(error.problems.map(({ file }) => posix.join(folder, file)));
      const more = await missingFiles(
        context,
        repository.files.filter(({ path }) => namedPaths.has(path)),
      );
      if (more.length === 0 || round === MAX_ROUNDS) return error;
      await fetchFiles(context, more, 'external data of the weights');
    }
  }
}
