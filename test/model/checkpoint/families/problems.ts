/** The sentences of an UnsupportedCheckpoint, as ModelError shows them. */
import { UnsupportedCheckpoint } from '../../../../src/model/checkpoint/families/unsupported.ts';

/** Empty if nothing is refused. Another error is thrown again. */
export function problemsOf(run: () => unknown): string[] {
  try {
    run();
    return [];
  } catch (error) {
    if (!(error instanceof UnsupportedCheckpoint)) throw error;
    return error.problems.map(({ file, problem }) => `${file} ${problem}`);
  }
}
