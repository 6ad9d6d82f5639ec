/**
 * Variables that look like settings of the worker, and are none: most are typing errors. Names only, never
 * values.
 */
import { nearestOf } from './nearest.ts';
import { environmentName, SETTINGS } from './settings.ts';
import { ENV_FILE } from './settings-file.ts';

/** Unknown settings that are listed. A shell can have any number of variables. */
export const MAX_UNKNOWN = 16;

/** A variable whose name begins like a setting. */
export interface UnknownSetting {
  readonly name: string;
  /** The known variable with a similar name. */
  readonly suggestion?: string;
  /** Path of the file of settings that has the variable; absent for the environment. */
  readonly file?: string;
}

/** The unknown settings of the environment and of the file. */
export interface UnknownSettings {
  /** The first 16, in the order of their names. */
  readonly listed: readonly UnknownSetting[];
  /** Number of all. */
  readonly count: number;
}

/** The variable with the URL of the worker that a command calls: a setting of the caller. */
export const WORKER_URL = 'RBEES_URL';

type Variables = Readonly<Record<string, string | undefined>>;

const KNOWN: readonly string[] = [...Object.keys(SETTINGS).map(environmentName), ENV_FILE.variable, WORKER_URL];
const PREFIX = /^RBEES_/i;

/** Finds the unknown settings in the environment and in the file. */
export function unknownSettings(
  environment: Variables,
  file?: { readonly path: string; readonly values: Variables },
): UnknownSettings {
  const all: UnknownSetting[] = [
    ...namesIn(environment).map((name) => described(name)),
    ...namesIn(file?.values ?? {}).map((name) => ({ ...described(name), ...(file && { file: file.path }) })),
  ];
  return { listed: all.slice(0, MAX_UNKNOWN), count: all.length };
}

function namesIn(variables: Variables): string[] {
  const names = Object.keys(variables).filter((name) => PREFIX.test(name) && !KNOWN.includes(name));
  return names.filter((name) => !isServiceLink(name, variables)).sort();
}

function described(name: string): UnknownSetting {
  // The prefix would make short names look similar.
  const rest = (known: string): string => known.replace(PREFIX, '');
  const nearest = nearestOf(rest(name).toUpperCase(), KNOWN.map(rest));
  return nearest === undefined ? { name } : { name, suggestion: environmentName(nearest) };
}

/** True for a variable that Kubernetes sets in every container for a service, for example `rbees-workerd`. */
function isServiceLink(name: string, variables: Variables): boolean {
  const service = /^(.+?)_(?:SERVICE_(?:HOST|PORT)(?:_.*)?|PORT(?:_\d+_.*)?)$/.exec(name)?.[1];
  return service !== undefined && variables[`${service}_SERVICE_HOST`] !== undefined;
}
