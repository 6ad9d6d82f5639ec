/**
 * Reads the files that state tokens besides tokenizer.json: tokenizer_config.json, special_tokens_map.json
 * and added_tokens.json. Validates each statement; merged-tokens.ts compares them.
 */
import { z } from 'zod';
import type { ModelProblem } from '../problems.ts';
import { TOKEN_NAMES } from '../template-source.ts';
import { type JsonSource, readFields, sourceName } from './json-fields.ts';
import type { StatedToken } from './token-flags.ts';

/** A token with the id that one file states. */
export type NumberedToken = StatedToken & { readonly id: number };

/** The statements of one file. */
export interface TokenStatements {
  /** Name of the file, without its folder. */
  readonly file: string;
  /** Name, such as `bos_token` → token; null if the file states that there is none. */
  readonly named: ReadonlyMap<string, StatedToken | null>;
  /** Special tokens without a name and without an id. */
  readonly special: readonly StatedToken[];
  /** Undefined if the file has no field for them. */
  readonly numbered: readonly NumberedToken[] | undefined;
}

/** Paths of the files. */
export interface TokenFiles {
  readonly tokenizerConfigFile?: JsonSource | undefined;
  readonly specialTokensFile?: string | undefined;
  readonly addedTokensFile?: string | undefined;
}

/** The statements of the three files; undefined for a file that is absent or has problems. */
export interface AllStatements {
  readonly config: TokenStatements | undefined;
  readonly map: TokenStatements | undefined;
  readonly list: TokenStatements | undefined;
  /** `model_max_length` of tokenizer_config.json, unchecked: it can be 0, NaN or infinite. */
  readonly modelMaxLength: number | undefined;
}

/** Ids are numbers of 32 bits in the native library. */
const MAX_ID = 2 ** 32 - 1;
const ID = /^(?:0|[1-9]\d{0,9})$/;
/** A name that a model gives to a token of its own, such as `image_token`. A template can use the name. */
const OWN_NAME = /^[a-z][a-z0-9_]{0,63}_token$/;

const flag = z.boolean().nullish();
const tokenFields = z.object({
  content: z.string(),
  single_word: flag,
  lstrip: flag,
  rstrip: flag,
  normalized: flag,
  special: flag,
});
const decoder = z.record(z.string(), tokenFields).check(({ value, issues }) => {
  for (const key of Object.keys(value)) {
    if (ID.test(key) && Number(key) <= MAX_ID) continue;
    issues.push({ code: 'custom', input: key, path: [key], message: `expected an id from 0 to ${MAX_ID}` });
    return;
  }
});

/** A token, or null for none. Other values are no statement. */
const token = z.union([z.string().transform((content) => ({ content })), tokenFields]);
const named = token.nullish().catch(undefined);
/** A list of tokens, or tokens by their names. */
const several = z
  .union([z.array(named), z.record(z.string(), named)])
  .nullish()
  .catch(undefined);
const specialFields = {
  ...(Object.fromEntries(TOKEN_NAMES.map((name) => [name, named])) as Record<
    (typeof TOKEN_NAMES)[number],
    typeof named
  >),
  additional_special_tokens: several,
  extra_special_tokens: several,
};
const specialTokens = z.object({ ...specialFields, eos_token: token.nullish() });
const tokenizerConfig = specialTokens.extend({
  added_tokens_decoder: decoder.nullish(),
  /** Infinity, which Python writes for "no limit", is a number here. */
  model_max_length: z.custom<number>((value) => typeof value === 'number', 'expected a number').nullish(),
});
const addedTokens = z.record(z.string(), z.int().min(0).max(MAX_ID));

/** Reads all statements. Adds each invalid one to `problems`. */
export async function readStatements(files: TokenFiles, problems: ModelProblem[]): Promise<AllStatements> {
  const { tokenizerConfigFile, specialTokensFile, addedTokensFile } = files;
  const config = await readFields(tokenizerConfigFile, tokenizerConfig, problems);
  const map = await readFields(specialTokensFile, specialTokens, problems);
  const list = await readFields(addedTokensFile, addedTokens, problems);
  return {
    config: config && statementsOf(tokenizerConfigFile, config, numberedIn(config.added_tokens_decoder)),
    map: map && statementsOf(specialTokensFile, map, undefined),
    list:
      list &&
      statementsOf(
        addedTokensFile,
        {},
        Object.entries(list).map(([content, id]) => ({ content, id })),
      ),
    modelMaxLength: config?.model_max_length ?? undefined,
  };
}

type SpecialTokens = Partial<z.infer<typeof specialTokens>>;

function statementsOf(
  source: JsonSource | undefined,
  fields: SpecialTokens,
  numbered: readonly NumberedToken[] | undefined,
): TokenStatements {
  const named = new Map<string, StatedToken | null>();
  for (const name of TOKEN_NAMES) {
    const value = fields[name];
    if (value !== undefined) named.set(name, value);
  }
  const special: StatedToken[] = [];
  for (const list of [fields.additional_special_tokens, fields.extra_special_tokens]) {
    for (const [name, value] of Object.entries(list ?? {})) {
      if (!value) continue;
      special.push(value);
      if (!named.has(name) && OWN_NAME.test(name)) named.set(name, value);
    }
  }
  return { file: sourceName(source), named, special, numbered };
}

function numberedIn(fields: z.infer<typeof decoder> | null | undefined): NumberedToken[] | undefined {
  return fields ? Object.entries(fields).map(([key, token]) => ({ ...token, id: Number(key) })) : undefined;
}
