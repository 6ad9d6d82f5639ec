/** Shows a job to a person: its answer on stdout, its narration on stderr. */
import type { Run } from '../../client/run.ts';
import { withReason } from '../../narration/phrases.ts';
import { Terminal } from '../terminal.ts';

/** Resolves with the exit code: 0 if the job is complete, otherwise 1. */
export async function showJob(job: Run): Promise<number> {
  const [answer, story] = [Terminal.stdout(), Terminal.stderr()];
  for await (const event of job) {
    if (event.type === 'narration') story.write(`${withReason(event.human, event.reason)}\n`);
    if (event.type === 'token' && event.part === undefined) answer.write(event.t);
    if (event.type === 'end') {
      await answer.print('\n');
      return 0;
    }
    if (event.type === 'error') {
      await story.print(`${event.code}: ${event.message}\n`);
      return 1;
    }
  }
  await story.print('The stream ended without its last event.\n');
  return 1;
}
