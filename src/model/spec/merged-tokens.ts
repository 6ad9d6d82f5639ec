/**
 * Merges the tokens that the files of a model state, as transformers does: ids from tokenizer.json, flags
 * from `added_tokens_decoder` before tokenizer.json, names from tokenizer_config.json if that file has an
 * `added_tokens_decoder` and from special_tokens_map.json otherwise. A file that states something alone
 * counts. Linear in the sizes of the files. Pure.
 */
import type { ModelProblem } from '../problems.ts';
import { FLAGS, type MergedToken, type StatedToken, withFlags } from './token-flags.ts';
import type { AllStatements, NumberedToken, TokenStatements } from './token-statements.ts';
import { type TokenizerFields, VocabularyLookup } from './vocabulary-lookup.ts';

/** The tokens of a model. */
export interface ModelTokens {
  /** The tokens that tokenizer.json lacks as added tokens, or states with other flags. */
  readonly added: readonly MergedToken[];
  /** Name, such as `bos_token` → text. A chat template can use the names. */
  readonly named: Readonly<Record<string, string>>;
  /** Id of `eos_token`. */
  readonly eosId: number | undefined;
  readonly differences: TokenDifferences;
}

/** Statements of files that contradict each other. */
export interface TokenDifferences {
  readonly count: number;
  /** A clause for each of the first differences. */
  readonly first: readonly string[];
  /** Names of the files that differ. */
  readonly files: readonly string[];
}

/** Differences that are reported with their texts. */
export const MAX_DIFFERENCES = 5;
/** Problems of one file that are reported. */
const MAX_PROBLEMS = 20;
/** UTF-16 units of a token in a report. */
const MAX_QUOTE = 40;
/**
 * Names whose token becomes a special token even if tokenizer.json has it only in its vocabulary. Prompts and
 * outputs never need the others, and some models name an ordinary text for them, such as "!" for padding.
 */
const PROMPT_NAMES: ReadonlySet<string> = new Set(['bos_token', 'eos_token', 'sep_token', 'cls_token', 'mask_token']);

/** A tokenizer with the name of its file. */
export interface NamedTokenizer {
  /** Name of the file in reports: tokenizer.json, or the GGUF file from which the tokenizer is derived. */
  readonly file: string;
  readonly fields: TokenizerFields;
}

/**
 * @param problems receives each token whose id belongs to another text
 */
export function mergeTokens(
  tokenizer: NamedTokenizer,
  statements: AllStatements,
  problems: ModelProblem[],
): ModelTokens {
  const merge = new Merge(tokenizer, statements, problems);
  const { config, map, list } = statements;
  const hasDecoder = config?.numbered !== undefined;
  for (const token of config?.numbered ?? []) merge.place(token, config?.file ?? '', 'wins');
  for (const token of list?.numbered ?? []) merge.place(token, list?.file ?? '', hasDecoder ? 'outdated' : 'fills');
  const named = merge.names(hasDecoder ? [config, map] : [map, config], hasDecoder);
  for (const token of config?.special ?? []) merge.makeSpecial(token, config?.file ?? '', true);
  for (const token of map?.special ?? []) merge.makeSpecial(token, map?.file ?? '', !hasDecoder);
  const { eos_token } = named;
  return {
    added: [...merge.changed.values()],
    named,
    eosId: eos_token === undefined ? undefined : merge.idOf(eos_token),
    differences: merge.differences,
  };
}

class Merge {
  /** Texts and ids of the tokenizer, as far as a statement asks for them. */
  readonly #lookup: VocabularyLookup;
  /** Name of its file. */
  readonly #file: string;
  readonly changed = new Map<string, MergedToken>();
  /** Texts of the ids that the tokenizer lacks. */
  readonly #newTexts = new Map<number, string>();
  readonly #problems: ModelProblem[];
  readonly #problemsBefore: number;
  #count = 0;
  readonly #first: string[] = [];
  readonly #files = new Set<string>();

  constructor({ file, fields }: NamedTokenizer, statements: AllStatements, problems: ModelProblem[]) {
    this.#file = file;
    this.#problems = problems;
    this.#problemsBefore = problems.length;
    const { config, map, list } = statements;
    const [texts, ids] = [new Set<string>(), new Set<number>()];
    for (const stated of [config, map, list]) {
      for (const token of stated?.named.values() ?? []) if (token) texts.add(token.content);
      for (const { content } of stated?.special ?? []) texts.add(content);
      for (const { content, id } of stated?.numbered ?? []) {
        texts.add(content);
        ids.add(id);
      }
    }
    this.#lookup = new VocabularyLookup(fields, texts, ids);
  }

  get differences(): TokenDifferences {
    return { count: this.#count, first: this.#first, files: [...this.#files] };
  }

  idOf(text: string): number | undefined {
    return this.#entryOf(text)?.id ?? this.#lookup.idOf(text);
  }

  /**
   * Takes a token with an id from a file.
   * @param weight `wins`: its flags replace those of tokenizer.json; `fills`: it counts if no other file has
   *   the token; `outdated`: as `fills`, and a taken id is a difference instead of a problem
   */
  place(token: NumberedToken, file: string, weight: 'wins' | 'fills' | 'outdated'): void {
    const { content, id } = token;
    if (content === '') return;
    const entry = this.#entryOf(content);
    const known = this.idOf(content);
    if (known === undefined) {
      const holder = this.#newTexts.get(id) ?? this.#lookup.textOf(id);
      if (holder === undefined) {
        this.#newTexts.set(id, content);
        this.#set(token, id, entry);
      } else if (weight === 'outdated') {
        this.#differ([file], `id ${id} is ${quoted(holder)} (used), and ${quoted(content)} in ${file}`);
      } else this.#addProblem(token, file, holder);
      return;
    }
    if (known !== id)
      this.#differ(
        [this.#file, file],
        `the id of ${quoted(content)} is ${known} in ${this.#file} (used) and ${id} in ${file}`,
      );
    if (weight !== 'wins' && entry) return;
    for (const flag of FLAGS) {
      const stated = token[flag];
      if (entry && typeof stated === 'boolean' && stated !== entry[flag])
        this.#differ(
          [this.#file, file],
          `${flag} of ${quoted(content)} is ${entry[flag]} in ${this.#file} and ${stated} in ${file} (used)`,
        );
    }
    this.#set(token, known, entry);
  }

  /**
   * The named tokens.
   * @param files the files that name them; the first one wins
   * @param nullCounts true if null in the first file means that there is no such token, whatever the other
   *   says
   */
  names(files: readonly (TokenStatements | undefined)[], nullCounts: boolean): Readonly<Record<string, string>> {
    const [first, second] = files;
    const named: Record<string, string> = {};
    for (const name of new Set([...(first?.named.keys() ?? []), ...(second?.named.keys() ?? [])])) {
      const [one, other] = [first?.named.get(name), second?.named.get(name)];
      const isFirst = one || (one === null && nullCounts);
      const used = isFirst ? one : other;
      const file = (isFirst ? first : second)?.file ?? '';
      if (isFirst && other && other.content !== one?.content)
        this.#differ(
          [file, second?.file ?? ''],
          `${name} is ${one ? quoted(one.content) : 'null'} in ${file} (used) and ${quoted(other.content)} in ${second?.file}`,
        );
      if (!used) continue;
      named[name] = used.content;
      if (PROMPT_NAMES.has(name)) this.makeSpecial(used, file, true);
      else if (this.#entryOf(used.content)) this.#promote(used.content);
    }
    return named;
  }

  /**
   * Makes a token special that a file lists as special.
   * @param counts false if tokenizer.json and `added_tokens_decoder` decide about the tokens that they have
   */
  makeSpecial(token: StatedToken, file: string, counts: boolean): void {
    const { content } = token;
    if (content === '') return;
    if (this.#entryOf(content)) {
      if (counts) this.#promote(content);
      return;
    }
    const id = this.#lookup.idOf(content);
    if (id === undefined) this.#differ([this.#file, file], `no file states the id of ${quoted(content)} in ${file}`);
    else this.#set({ ...token, normalized: token.normalized ?? false, special: true }, id, undefined);
  }

  #promote(content: string): void {
    const entry = this.#entryOf(content);
    if (entry && !entry.special) this.changed.set(content, { ...entry, special: true });
  }

  #entryOf(content: string): MergedToken | undefined {
    return this.changed.get(content) ?? this.#lookup.addedOf(content);
  }

  /** The flags of a statement; flags that it lacks are those of the entry so far. */
  #set(token: StatedToken, id: number, entry: MergedToken | undefined): void {
    const merged = withFlags(token, id, entry);
    if (!entry || FLAGS.some((flag) => merged[flag] !== entry[flag])) this.changed.set(token.content, merged);
  }

  #differ(files: readonly string[], clause: string): void {
    this.#count += 1;
    if (this.#first.length < MAX_DIFFERENCES) this.#first.push(clause);
    for (const file of files) this.#files.add(file);
  }

  #addProblem({ id, content }: NumberedToken, file: string, holder: string): void {
    if (this.#problems.length - this.#problemsBefore >= MAX_PROBLEMS) return;
    const problem = `gives ${quoted(content)} the id ${id}, which is ${quoted(holder)} in ${this.#file}`;
    this.#problems.push({ file, problem: `${problem}: use the files of one export of the model` });
  }
}

function quoted(text: string): string {
  return JSON.stringify(text.length > MAX_QUOTE ? `${text.slice(0, MAX_QUOTE)}…` : text);
}
