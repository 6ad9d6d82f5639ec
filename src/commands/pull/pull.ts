/**
 * `rbees-workerd pull org/name[/folder][@revision]`: fetches what a model needs from the hub into the cache that is shared with huggingface_hub.
 * stdout gets the model's folder, stderr everything that is told on the way.
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
import { devicesToTry } from '../../protocol/devices.ts';
import { ProgressBar } from './progress-bar.ts';

/** Files that a graph names and that are not named after it are found in so many rounds, or not at all. */
const MOST_ROUNDS = 3;
/** Largest genai_config.json that is read. */
const LARGEST_CONFIG = 1024 * 1024;

/**
 * Runs the command. Resolves with the exit code.
 * @throws ConfigError when the command line or a variable of the hub is wrong.
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
    const ours = error instanceof PullError || error instanceof ModelError;
    const reason = ours ? error.message : storageProblem(error, settings.cache);
    if (reason === undefined) throw error;
    progress.say(`rbees-workerd: ${reason}`);
    return 1;
  } finally {
    progress.end();
  }
}

function readArguments(args: readonly string[]): { reference: HubReference; selection: Selection } {
  const { values, positionals } = parsed(args);
  const [name, ...more] = positionals;
  if (name === undefined || more.length > 0)
    throw new ConfigError('pull needs one model: pull org/name[@revision] [--dtype q4] [--device cuda]');
  const reference = parseReference(name);
  if (reference === undefined)
    throw new ConfigError(`pull: ${JSON.stringify(name.slice(0, 200))} is not allowed; allowed: ${REFERENCE_RULE}`);
  // Flags beat RBEES_DTYPE and RBEES_DEVICE as they do for a worker, so that both take the same weights.
  const { dtype, device } = readConfig(Object.entries(values).flatMap(([flag, value]) => [`--${flag}`, value]));
  return { reference, selection: { dtype, device: deviceToSuit(device) } };
}

/** `auto` is the CPU: every machine has one, and which device opens on the machine that will run the model is not known where it is pulled. */
function deviceToSuit(choice: string): string {
  return (choice === 'auto' ? undefined : devicesToTry(choice)[0]) ?? 'cpu';
}

function parsed(args: readonly string[]) {
  try {
    const options = { dtype: { type: 'string' }, device: { type: 'string' } } as const;
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    throw new ConfigError(error instanceof Error ? error.message : String(error));
  }
}

/** `HF_HUB_OFFLINE`: nothing is asked, and what is there must do. */
async function fromCache(reference: HubReference, selection: Selection, { cache }: HubSettings): Promise<string> {
  const folder = cachedSnapshot(cache, reference);
  if (folder === undefined)
    throw new PullError(`HF_HUB_OFFLINE is set, and ${nameOf(reference)} is not in the cache ${cache}.`);
  await locateModel(folder, selection.dtype, [selection.device]);
  return folder;
}

/** What one pull works with. */
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
  const problem = await fetchNamedInside(context, choice.dtype, selection.device);
  // Last: a revision that the cache knows is there as a whole.
  await cache.refer(reference.revision, repository.commit);
  if (problem !== undefined) throw problem;
  return folderOf(context);
}

/** The model's folder in the cache. */
function folderOf({ cache, repository: { commit, reference } }: PullContext): string {
  return join(cache.snapshot(commit), reference.folder);
}

/** The file of weights of a GenAI layout, which may have any name. */
async function decoderName(context: PullContext): Promise<string | undefined> {
  const file = genaiConfigOf(context.repository);
  if (file === undefined) return undefined;
  if (file.size > LARGEST_CONFIG)
    throw new PullError(`${file.path} has ${formatBytes(file.size)}, and ${formatBytes(LARGEST_CONFIG)} are allowed.`);
  await fetchFiles(context, [file], 'its genai_config.json first, which names the weights');
  const problems: ModelProblem[] = [];
  const name = await graphFileOf(join(context.cache.snapshot(context.repository.commit), file.path), problems);
  if (problems.length > 0) throw new ModelError(folderOf(context), problems);
  return name;
}

/** Brings those of the files that the cache lacks; says nothing when it lacks none. */
async function fetchFiles(context: PullContext, files: readonly RepositoryFile[], why: string): Promise<void> {
  const { repository, cache, progress } = context;
  const { commit, reference } = repository;
  const lacking = (await lackingOf(context, files)).length > 0;
  if (!lacking) return;
  await cache.prepare();
  const onWait = (holder: string): void =>
    progress.say(`Another pull of ${reference.repo} is at work (process ${holder}); waiting for it`);
  await withLock(cache.lockFile, onWait, async () => {
    const missing = await lackingOf(context, files);
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

async function lackingOf(
  { cache, repository }: PullContext,
  files: readonly RepositoryFile[],
): Promise<RepositoryFile[]> {
  const there = await Promise.all(files.map(({ path, size }) => cache.has(repository.commit, path, size)));
  return files.filter((_, i) => there[i] !== true);
}

async function requireSpace({ cache, settings }: PullContext, files: readonly RepositoryFile[]): Promise<void> {
  const sizes = files.map(async ({ etag, size }) => size - (await cache.bytesOf(etag, size)));
  const needed = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  const free = await freeBytes(settings.cache);
  if (needed > free)
    throw new PullError(
      `${formatBytes(needed)} do not fit into ${settings.cache}, where ${formatBytes(free)} are free: make room, or set HF_HUB_CACHE to another disk.`,
    );
}

async function fetchFile(
  { repository, cache, connection, progress }: PullContext,
  file: RepositoryFile,
): Promise<void> {
  progress.file(file.path, file.size);
  if (!(await cache.hasBlob(file.etag, file.size))) {
    let first = true;
    await download(
      connection,
      fileUrl(connection.endpoint, repository, file.path),
      file,
      cache.blob(file.etag),
      (bytes) => {
        progress.at(bytes, first);
        first = false;
      },
    );
  }
  await cache.point(repository.commit, file.path, file.etag);
  progress.fileDone();
}

/**
 * Looks at the model as a worker would. Files that the graph names and the repository has are fetched too; what is wrong in the end is
 * returned.
 */
async function fetchNamedInside(
  context: PullContext,
  dtype: DtypeChoice,
  device: string,
): Promise<ModelError | undefined> {
  const { repository } = context;
  for (let round = 1; ; round++) {
    try {
      await locateModel(folderOf(context), dtype, [device]);
      return undefined;
    } catch (error) {
      if (!(error instanceof ModelError)) throw error;
      const named = new Set(error.problems.map(({ file }) => posix.join(repository.reference.folder, file)));
      const more = await lackingOf(
        context,
        repository.files.filter(({ path }) => named.has(path)),
      );
      if (more.length === 0 || round === MOST_ROUNDS) return error;
      await fetchFiles(context, more, 'which its weights name');
    }
  }
}
