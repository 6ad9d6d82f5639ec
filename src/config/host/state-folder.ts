/** The folder in which the commands keep the conversation of a person and the history of the chat. */
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/**
 * The folder of this user: in `XDG_STATE_HOME`, otherwise in `~/.local/state`. The XDG specification ignores
 * a relative path.
 */
export function stateFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const given = environment['XDG_STATE_HOME'];
  const base = given !== undefined && isAbsolute(given) ? given : join(homedir(), '.local', 'state');
  return join(base, 'rbees-workerd');
}
