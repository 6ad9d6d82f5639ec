/** The programs of Debian's packages that the tests run. */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The search path with the folders of daemons, which the PATH of a user may lack. */
export const PATH = [process.env['PATH'], '/usr/sbin', '/sbin'].join(delimiter);

/** True if the machine has all of these programs. */
export const hasPrograms = (...names: readonly string[]): boolean =>
  names.every((name) => PATH.split(delimiter).some((folder) => existsSync(join(folder, name))));
