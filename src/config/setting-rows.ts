/**
 * The rows of the table of settings: their type, and the kinds that several settings share.
 */
import { z } from 'zod';

/** One setting: its check, its default and its texts. */
export interface Setting<S extends z.ZodType> {
  readonly schema: S;
  /** The help text. */
  readonly meaning: string;
  /** The allowed values, as text. */
  readonly allowed: string;
  /** The default, in command-line form. The schema parses it. */
  readonly fallback?: z.input<S> | undefined;
  /** The default as the help shows it, if it is not a plain value. */
  readonly shown?: string;
  /** True for a flag without a value on the command line. */
  readonly boolean?: true;
  /**
   * The values that `.env` of the working directory may set; absent: all. A file that `--env-file` names may
   * set every value.
   */
  readonly fromFolder?: readonly string[];
}

/** Checks that the default of a row fits its schema. */
export const setting = <S extends z.ZodType>(row: Setting<S>): Setting<S> => row;

/**
 * Only digits, because `Number('')` and `Number(' ')` are 0. One schema, because a start makes some twenty of
 * them.
 */
export const wholeNumber = (least: number, most: number) =>
  z
    .custom<number | string>((given) => {
      const number = typeof given === 'number' || /^\d{1,15}$/.test(String(given)) ? Number(given) : Number.NaN;
      return Number.isInteger(number) && number >= least && number <= most;
    })
    .transform(Number);

interface NumberRow {
  readonly meaning: string;
  readonly least: number;
  readonly most: number;
  readonly fallback?: number;
  readonly unit?: string;
  readonly shown?: string;
}

/** A whole number of a range. */
export function whole({ least, most, unit = '', ...row }: NumberRow) {
  const allowed = `${least} to ${most}${unit && ` ${unit}`}`;
  return setting({ ...row, schema: wholeNumber(least, most), allowed });
}

/** A time limit in seconds, up to a day. */
export const seconds = (fallback: number, meaning: string) =>
  whole({ meaning, least: 1, most: 86_400, unit: 'seconds', fallback });

/** One word of a list. */
export const choice = <const W extends string>(
  words: readonly W[],
  fallback: NoInfer<W>,
  meaning: string,
  fromFolder?: W[],
) =>
  setting({ schema: z.enum(words), meaning, allowed: words.join(', '), fallback, ...(fromFolder && { fromFolder }) });
