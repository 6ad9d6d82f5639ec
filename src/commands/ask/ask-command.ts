/** The command `ask` for the table: its help text, and its start. */
import type { Command } from '../command.ts';
import { ask } from './ask.ts';

export const askCommand: Command = {
  help: () => `rbees-workerd ask "<question>" [settings]

Starts a worker, sends it one question, and shows narration and output.
`,
  run: ask,
};
