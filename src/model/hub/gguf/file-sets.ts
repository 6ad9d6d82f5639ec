/**
 * The GGUF models among the files of a repository or of a snapshot, and the one that a reference selects. A
 * model is one file, or the files of a split set. Decides by names alone.
 */
import { posix } from 'node:path';
import { ggufModelName, isGgufModelName, namesOf } from '../../checkpoint/gguf/gguf-names.ts';
import { hasTag, tagIn } from '../../checkpoint/gguf/quantization-tag.ts';
import type { HubReference } from '../reference.ts';

/** A model. Paths are relative to the folder of the query. */
export interface GgufSet {
  /** The files in their order: the first one has the metadata. */
  readonly paths: readonly [string, ...string[]];
  /** Files that the names of a split set state; 1 for a single file. */
  readonly count: number;
  /** Quantization in the name, such as `Q4_K_M`. */
  readonly tag: string | undefined;
  /** Name of the file without folder, number and `.gguf`. */
  readonly stem: string;
}

/** No model suits the reference. The message continues a sentence that begins with the repository. */
export class NoGguf extends Error {
  override readonly name = 'NoGguf';
}

/** The tags for a reference without one, in order of preference. The first is that of llama.cpp. */
const DEFAULT_TAGS = ['Q4_K_M', 'Q4_0', 'Q8_0'] as const;
/** Maximum number of tags or files that a message lists. Repositories have about 25 tags. */
const MAX_LISTED = 40;

/** The models among the files, sorted by path. */
export function ggufSets(paths: readonly string[]): GgufSet[] {
  const sets = new Map<string, { paths: [string, ...string[]]; count: number; stem: string }>();
  for (const path of paths.filter((one) => isGgufModelName(posix.basename(one))).sort()) {
    const name = posix.basename(path);
    const [stem, count] = [ggufModelName(name), namesOf(name).files.length];
    const key = `${posix.dirname(path)} ${stem} ${count}`;
    const set = sets.get(key);
    if (set) set.paths.push(path);
    else sets.set(key, { paths: [path], count, stem });
  }
  return [...sets.values()].map((set) => ({ ...set, tag: tagIn(set.stem) }));
}

/**
 * The model that a reference selects: by its file, by its tag, or without both by the first of `DEFAULT_TAGS`
 * that one of the files has; a single model is taken whatever its tag is.
 * @param sets the models in the folder of the reference
 * @throws NoGguf that lists the tags and files
 */
export function chooseGguf(sets: readonly GgufSet[], { repo, folder, file, tag }: HubReference): GgufSet {
  const place = folder === '' ? repo : `${repo}/${folder}`;
  if (file !== undefined) {
    const named = sets.find(({ paths }) => paths.includes(file));
    if (named) return named;
    throw new NoGguf(`has no GGUF model ${file}; ${listOf(sets)}`);
  }
  if (tag !== undefined) {
    const found = withTag(sets, tag);
    const [only] = found;
    if (only && found.length === 1) return only;
    if (!only) throw new NoGguf(`has no GGUF file with the tag ${tag}; ${listOf(sets)}`);
    const files = found.map(({ paths: [path] }) => path).slice(0, MAX_LISTED);
    throw new NoGguf(
      `has several GGUF files with the tag ${tag}: ${files.join(', ')}. Name one of them, as in ${place}/${files[0]}`,
    );
  }
  const [single, ...more] = sets;
  if (single && more.length === 0) return single;
  for (const one of DEFAULT_TAGS) {
    const found = withTag(sets, one);
    const [only] = found;
    if (only && found.length === 1) return only;
  }
  const selector = single ? selectorOf(single, sets) : ':<tag>';
  throw new NoGguf(`has no single GGUF file of ${DEFAULT_TAGS.join(', ')}; ${listOf(sets)}. Use ${place}${selector}`);
}

/**
 * The models whose names end with the tag as their quantization; without these, the models of this
 * quantization, and then the models that have the tag in their names.
 */
function withTag(sets: readonly GgufSet[], tag: string): readonly GgufSet[] {
  const kind = tag.toUpperCase();
  const exact = sets.filter((set) => set.tag === kind);
  const atEnd = exact.filter(({ stem }) => stem.toUpperCase().endsWith(kind));
  if (atEnd.length > 0) return atEnd;
  return exact.length > 0 ? exact : sets.filter(({ stem }) => hasTag(stem, tag));
}

/** The end of a name that selects one of the models: `:Q4_K_M`, or `/path.gguf` if the tag is not unique. */
export function selectorOf({ tag, paths: [path] }: GgufSet, sets: readonly GgufSet[]): string {
  const isUnique = tag !== undefined && sets.filter((other) => other.tag === tag).length === 1;
  return isUnique ? `:${tag}` : `/${path}`;
}

function listOf(sets: readonly GgufSet[]): string {
  if (sets.length === 0) return 'it has no GGUF files of models';
  const names = sets.map((set) => selectorOf(set, sets).slice(1));
  const more = names.length - MAX_LISTED;
  return `it has ${names.slice(0, MAX_LISTED).join(', ')}${more > 0 ? `, and ${more} more` : ''}`;
}
