/**
 * Checks the header of a GGUF model on the hub before its files are downloaded: a model that no worker runs
 * can have many gigabytes.
 */
import { basename, dirname, posix } from 'node:path';
import { readDecoder } from '../../model/checkpoint/read-decoder.ts';
import { findGguf } from '../../model/gguf-weights.ts';
import type { Choice } from '../../model/hub/choice.ts';
import { NoRanges, RemoteFile } from '../../model/hub/gguf/remote-file.ts';
import { PullError } from '../../model/hub/pull-error.ts';
import { nameOf } from '../../model/hub/reference.ts';
import { fileUrl } from '../../model/hub/repository.ts';
import { ModelError, type ModelProblem } from '../../model/problems.ts';
import type { DeviceName } from '../../protocol/devices.ts';
import { missingFiles, modelPath, type PullContext } from './fetch-files.ts';

/** The context changes only the sizes of tables, which a setting bounds. */
const LEAST_CONTEXT = 1;

/**
 * Reads the metadata and the lists of tensors with requests for ranges. Does nothing for other formats, for
 * files that the cache has, and if the server sends no ranges.
 * @throws PullError for a file that no worker runs, and if the hub does not deliver the header
 */
export async function expectGguf(
  context: PullContext,
  choice: Pick<Choice, 'modelFile' | 'files' | 'dtype'>,
  device: DeviceName,
): Promise<void> {
  const { modelFile, files, dtype } = choice;
  if (modelFile === undefined || (await missingFiles(context, files)).length === 0) return;
  const { connection, repository } = context;
  const path = modelPath(context, choice);
  const root = dirname(path);
  const problems: ModelProblem[] = [];
  const remote = async (name: string) => {
    const place = posix.join(posix.dirname(modelFile), name);
    const file = files.find((one) => one.path === place);
    if (file === undefined) throw new PullError(`${place} is not in the repository: use another file.`);
    const handle = new RemoteFile(connection, fileUrl(connection.endpoint, repository, place), file);
    return { handle, size: file.size, real: posix.join(root, name), close: async () => undefined };
  };
  try {
    const hasTokenizer = files.some((one) => one.path === posix.join(posix.dirname(modelFile), 'tokenizer.json'));
    const found = await findGguf(root, basename(path), { dtype, devices: [device], hasTokenizer, remote }, problems);
    if (found === undefined || problems.length > 0) throw new ModelError(root, problems);
    await readDecoder({ folder: root, ...found }, LEAST_CONTEXT);
  } catch (error) {
    if (error instanceof NoRanges) return;
    if (!(error instanceof ModelError)) throw error;
    const list = error.problems.map(({ file, problem }) => `${file} ${problem}`).join('; ');
    throw new PullError(`${nameOf(repository.reference)} is not downloaded, because no worker runs it: ${list}.`);
  }
}
