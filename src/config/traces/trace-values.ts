/**
 * Reads single values of the OpenTelemetry variables. A value that is not allowed becomes a problem, and the
 * default counts: these variables are often set for all programs of a machine, so none of them prevents the
 * start of a worker (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/).
 */
import { shorten } from '../../protocol/text/error-message.ts';

/** A value that is not used as given. */
export interface TraceProblem {
  /** Name of the variable. */
  readonly variable: string;
  /** A sentence with the value, the allowed values and the way out. Never a secret. */
  readonly reason: string;
}

export interface ListRules {
  readonly isSecret: boolean;
  readonly problemOf: (key: string, value: string) => string | undefined;
}

/** Maximum UTF-16 units of a wrong value in its problem. */
const MAX_SHOWN = 100;
/** The longest list that is read. */
const MAX_LIST_CHARS = 8192;

const shown = (value: string): string => shorten(JSON.stringify(value), MAX_SHOWN);

/** The variables of one environment. An empty value counts as absent. */
export class TraceVariables {
  readonly environment: NodeJS.Dict<string>;
  readonly problems: TraceProblem[] = [];

  constructor(environment: NodeJS.Dict<string>) {
    this.environment = environment;
  }

  /** The first of the variables that is set: the one of traces, then the one of all signals. */
  given(...names: readonly string[]): { readonly name: string; readonly value: string } | undefined {
    for (const name of names) {
      const value = this.environment[name]?.trim();
      if (value) return { name, value };
    }
    return undefined;
  }

  /** Adds a problem; once, if two settings read the same variable. */
  problem(variable: string, reason: string): void {
    const isKnown = this.problems.some((one) => one.variable === variable && one.reason === reason);
    if (!isKnown) this.problems.push({ variable, reason });
  }

  /** Reports a value of a boolean that is neither `true` nor `false`: it counts as `false`. */
  flag(name: string): void {
    const found = this.given(name);
    if (found && !/^(?:true|false)$/i.test(found.value))
      this.problem(name, `${shown(found.value)} is not allowed; allowed: true, false; false is used`);
  }

  /** A value of a list. Upper case counts as lower case. */
  choice<T extends string>(allowed: readonly T[], fallback: T, ...names: readonly string[]): T {
    const found = this.given(...names);
    if (!found) return fallback;
    const value = allowed.find((one) => one === found.value.toLowerCase());
    if (value !== undefined) return value;
    const choices = allowed.join(', ');
    this.problem(found.name, `${shown(found.value)} is not supported; allowed: ${choices}; ${fallback} is used`);
    return fallback;
  }

  /** A whole number. */
  whole({ min, max }: { readonly min: number; readonly max: number }, fallback: number, ...names: readonly string[]) {
    const found = this.given(...names);
    if (!found) return fallback;
    const value = /^\d{1,15}$/.test(found.value) ? Number(found.value) : Number.NaN;
    if (value >= min && value <= max) return value;
    this.problem(
      found.name,
      `${shown(found.value)} is not allowed; allowed: a whole number from ${min} to ${max}; ${fallback} is used`,
    );
    return fallback;
  }

  /** A number from 0 to 1. */
  ratio(name: string): number {
    const found = this.given(name);
    if (!found) return 1;
    const value = /^(?:\d{1,3}(?:\.\d{0,30})?|\.\d{1,30})(?:e-?\d{1,2})?$/i.test(found.value)
      ? Number(found.value)
      : Number.NaN;
    if (value >= 0 && value <= 1) return value;
    this.problem(name, `${shown(found.value)} is not allowed; allowed: a number from 0 to 1; 1 is used`);
    return 1;
  }

  /**
   * A list `key1=value1,key2=value2` with percent-encoded values, as in W3C Baggage. One wrong entry discards
   * the whole list, as the specification demands.
   * @param isSecret true: the problem does not show the list
   * @param problemOf why an entry cannot be used, without its value; undefined for one that can
   */
  list({ isSecret, problemOf }: ListRules, ...names: readonly string[]): Readonly<Record<string, string>> {
    const found = this.given(...names);
    if (!found) return {};
    const entries = entriesOf(found.value);
    const problems = entries?.flatMap(([key, value]) => problemOf(key, value) ?? []);
    if (entries && problems?.length === 0) return Object.fromEntries(entries);
    const value = isSecret ? '(hidden)' : shown(found.value);
    const reason = problems?.[0] ?? 'allowed: key=value pairs, separated by commas, with percent-encoded values';
    this.problem(found.name, `${value} is not allowed; ${reason}; the whole list is ignored`);
    return {};
  }
}

/** Undefined if an entry has no key or a malformed percent-encoding. */
function entriesOf(list: string): [key: string, value: string][] | undefined {
  if (list.length > MAX_LIST_CHARS) return undefined;
  const entries: [string, string][] = [];
  for (const entry of list.split(',')) {
    if (entry.trim() === '') continue;
    // In W3C Baggage, properties follow a semicolon. Here it belongs to the value, as in other exporters.
    const at = entry.indexOf('=');
    const key = entry.slice(0, Math.max(0, at)).trim();
    if (key === '') return undefined;
    try {
      entries.push([decodeURIComponent(key), decodeURIComponent(entry.slice(at + 1).trim())]);
    } catch {
      return undefined;
    }
  }
  return entries;
}
