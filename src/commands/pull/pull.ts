/**
 * `rbees-workerd pull org/name[/folder][@revision]`: downloads the files that a model needs from the hub into
 * the cache shared with huggingface_hub. Prints the model's folder to stdout, and progress and errors to
 * stderr.
 */
import { join, posix } from 'node:path';
import { parseArgs } from 'node:util';
import { ConfigError, readConfig } from '../../config/config.ts';
import { type HubSettings, readHubSettings } from '../../config/hub-settings.ts';
import type { DtypeChoice } from '../../model/dtypes.ts';
import { graphFileOf } from '../../model/genai.ts';
import { cachedSnapshot, freeBytes, HubCache, storageProblem } from '../../model/hub/cache.ts';
import { chooseFiles, genaiConfigOf, type Selection } from '../../model/hub/choice.ts';
import { Connection, PullError } from '../../model/hub/connection.ts';
import { withLock } from '../../model/hub/lock.ts';
import { type HubReference, nameOf, parseReference, REFERENCE_RULE } from '../../model/hub/reference.ts';
import { fileUrl, type Repository, type RepositoryFile, readRepository } from '../../model/hub/repository.ts';
import { download } from '../../model/hub/transfer.ts';
import { locateModel } from '../../model/locate.ts';
import { ModelError, type ModelProblem } from '../../model/problems.ts';
import { formatBytes } from '../../narration/phrases.ts';
import { CPU, type DeviceName, deviceOf } from '../../protocol/devices.ts';
import { messageOf } from '../../protocol/error-message.ts';
import { ProgressBar } from './progress-bar.ts';

/**
 * The graph can name data files that the choice by file names misses. At most this many rounds download such
 * files.
 */
const MAX_ROUNDS = 3;
/** Maximum size of genai_config.json. */
const MAX_CONFIG_BYTES = 1024 * 1024;

/**
 * Runs the command. Resolves with the exit code: 0, or 1 after an error of the hub, the model or the disk.
 * @throws ConfigError if the command line or a hub variable is wrong.
 */
export async function pull(args: readonly string[]): Promise<number> {
  const { reference, selection } = readArguments(args);
  const settings = readHubSettings();
  const progress = new ProgressBar(process.stderr);
  try {
    const folder = settings.offline
      ? await fromCache(reference, selection, settings)
      : await fromHub(reference, selection, settings, progress);
    await new Promise<void>((resolve) => process.stdout.write(`${folder}\n`, () => resolve()));
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

function readArguments(args: readonly string[]): { reference: HubReference; selection: Selection } {
  const { values, positionals } = parseFlags(args);
  const [name, ...more] = positionals;
  if (name === undefined || more.length > 0)
    throw new ConfigError('pull needs one model: pull org/name[@revision] [--dtype q4] [--device cuda]');
  const reference = parseReference(name);
  if (reference === undefined)
    throw new ConfigError(`pull: ${JSON.stringify(name.slice(0, 200))} is not allowed; allowed: ${REFERENCE_RULE}`);
  // As for a worker, flags override RBEES_DTYPE and RBEES_DEVICE, so that pull and worker choose the same
  // weights.
  const { dtype, device } = readConfig(Object.entries(values).flatMap(([flag, value]) => [`--${flag}`, value]));
  return { reference, selection: { dtype, device: deviceForWeights(device) } };
}

/**
 * The device whose preferred weights are pulled. `auto` selects the CPU: the model may run on another
 * machine, and every machine has a CPU.
 */
const deviceForWeights = (choice: string): DeviceName => deviceOf(choice) ?? CPU;

function parseFlags(args: readonly string[]) {
  try {
    const options = { dtype: { type: 'string' }, device: { type: 'string' }, 'env-file': { type: 'string' } } as const;
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    throw new ConfigError(messageOf(error));
  }
}

/** `HF_HUB_OFFLINE`: uses the cached files and sends no request. */
async function fromCache(reference: HubReference, selection: Selection, { cache }: HubSettings): Promise<string> {
  const folder = cachedSnapshot(cache, reference);
  if (folder === undefined)
    throw new PullError(
      `HF_HUB_OFFLINE is set, and ${nameOf(reference)} is not in the cache ${cache}: unset HF_HUB_OFFLINE to pull it.`,
    );
  await locateModel(folder, selection.dtype, [selection.device]);
  return folder;
}

/** The parts that one pull uses. */
interface PullContext {
  readonly repository: Repository;
  readonly cache: HubCache;
  readonly connection: Connection;
  readonly settings: HubSettings;
  readonly progress: ProgressBar;
}

async function fromHub(
  reference: HubReference,
  selection: Selection,
  settings: HubSettings,
  progress: ProgressBar,
): Promise<string> {
  const connection = new Connection(settings, reference, (sentence) => progress.say(sentence));
  const cache = new HubCache(settings.cache, reference.repo, settings.symlinks);
  const repository = await readRepository(connection, reference);
  const context: PullContext = { repository, cache, connection, settings, progress };
  const choice = chooseFiles(repository, { ...selection, decoder: await decoderName(context) });
  await fetchFiles(context, choice.files, choice.why);
  const problem = await fetchExternalData(context, choice.dtype, selection.device);
  // The last step, because a revision in the cache must be complete.
  await cache.writeRef(reference.revision, repository.commit);
  if (problem !== undefined) throw problem;
  return folderOf(context);
}

/** The model's folder in the cache. */
function folderOf({ cache, repository: { commit, reference } }: PullContext): string {
  return join(cache.snapshot(commit), reference.folder);
}

/** The weight file that genai_config.json names, which may have any name. */
async function decoderName(context: PullContext): Promise<string | undefined> {
  const file = genaiConfigOf(context.repository);
  if (file === undefined) return undefined;
  if (file.size > MAX_CONFIG_BYTES)
    throw new PullError(
      `${file.path} is ${formatBytes(file.size)}; at most ${formatBytes(MAX_CONFIG_BYTES)} is allowed.`,
    );
  await fetchFiles(context, [file], 'genai_config.json first, because it names the weights');
  const problems: ModelProblem[] = [];
  const name = await graphFileOf(join(context.cache.snapshot(context.repository.commit), file.path), problems);
  if (problems.length > 0) throw new ModelError(folderOf(context), problems);
  return name;
}

/** Downloads the files that are missing in the cache. Prints nothing if none is missing. */
async function fetchFiles(context: PullContext, files: readonly RepositoryFile[], why: string): Promise<void> {
  const { repository, cache, progress } = context;
  const { commit, reference } = repository;
  const isIncomplete = (await missingFiles(context, files)).length > 0;
  if (!isIncomplete) return;
  await cache.prepare();
  const onWait = (holder: string): void =>
    progress.say(`Another pull of ${reference.repo} is running (process ${holder}): waiting for it`);
  await withLock(cache.lockFile, onWait, async () => {
    const missing = await missingFiles(context, files);
    if (missing.length === 0) return;
    const total = missing.reduce((sum, { size }) => sum + size, 0);
    progress.say(
      `Pulling ${nameOf(reference)} (${commit.slice(0, 8)}): ${missing.length} file${missing.length === 1 ? '' : 's'}, ${formatBytes(total)}; ${why}`,
    );
    await requireSpace(context, missing);
    progress.begin(total);
    for (const file of missing) await fetchFile(context, file);
    progress.end();
  });
}

async function missingFiles(
  { cache, repository }: PullContext,
  files: readonly RepositoryFile[],
): Promise<RepositoryFile[]> {
  const present = await Promise.all(files.map(({ path, size }) => cache.has(repository.commit, path, size)));
  return files.filter((_, i) => present[i] !== true);
}

async function requireSpace({ cache, settings }: PullContext, files: readonly RepositoryFile[]): Promise<void> {
  const sizes = files.map(async ({ etag, size }) => size - (await cache.bytesPresent(etag, size)));
  const needed = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  const free = await freeBytes(settings.cache);
  if (needed > free)
    throw new PullError(
      `${settings.cache} needs ${formatBytes(needed)}, and ${formatBytes(free)} are free: free some space, or set HF_HUB_CACHE to another disk.`,
    );
}

async function fetchFile(
  { repository, cache, connection, progress }: PullContext,
  file: RepositoryFile,
): Promise<void> {
  progress.file(file.path, file.size);
  if (!(await cache.hasBlob(file.etag, file.size))) {
    let fromBefore = true;
    await download(connection, {
      url: fileUrl(connection.endpoint, repository, file.path),
      file,
      blob: cache.blob(file.etag),
      onProgress: (bytes) => {
        progress.at(bytes, fromBefore);
        fromBefore = false;
      },
    });
  }
  await cache.linkBlob(repository.commit, file.path, file.etag);
  progress.fileDone();
}

/**
 * Locates the model as a worker does, and downloads the missing files that the repository has. Returns the
 * problems that remain.
 */
async function fetchExternalData(
  context: PullContext,
  dtype: DtypeChoice,
  device: DeviceName,
): Promise<ModelError | undefined> {
  const { repository } = context;
  for (let round = 1; ; round++) {
    try {
      await locateModel(folderOf(context), dtype, [device]);
      return undefined;
    } catch (error) {
      if (!(error instanceof ModelError)) throw error;
      const namedPaths = new Set(error.problems.map(({ file }) => posix.join(repository.reference.folder, file)));
      const more = await missingFiles(
        context,
        repository.files.filter(({ path }) => namedPaths.has(path)),
      );
      if (more.length === 0 || round === MAX_ROUNDS) return error;
      await fetchFiles(context, more, 'external data of the weights');
    }
  }
}
