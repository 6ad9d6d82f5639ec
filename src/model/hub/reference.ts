/**
 * Names of models on the hub: `org/name[/folder][@revision]`, and of GGUF models `org/name:Q4_K_M` and
 * `org/name/file.gguf`. Names come from the command line and become parts of paths and URLs, so only names
 * that match the pattern are accepted. Pure.
 */
import { normalTag } from '../checkpoint/gguf/quantization-tag.ts';

/** A model on the hub at one revision. */
export interface HubReference {
  /** `org/name`. */
  readonly repo: string;
  /**
   * Folder of the model inside the repository, '' for its root. GenAI exports have one folder for each
   * device.
   */
  readonly folder: string;
  /** Name of a GGUF file in `folder`; of a split set, any of its files. */
  readonly file?: string;
  /** Quantization tag of a GGUF file, such as `Q4_K_M`. */
  readonly tag?: string;
  /** A branch, a tag, `refs/pr/1` or a commit. */
  readonly revision: string;
}

export const REFERENCE_RULE =
  'org/name, org/name/folder, org/name/file.gguf or org/name:<quantization tag>, each with @revision, of A-Z a-z 0-9 . _ - (names up to 96 characters, no -- and no ..)';

/**
 * One part of a repository's name, by the rules of huggingface_hub (utils/_validators.py): begins and ends
 * with a letter, digit or `_`.
 */
const PART = /^\w(?:[\w.-]{0,94}\w)?$/;
/** A quantization tag, or another part of the name of a file. */
const TAG = /^\w[\w.-]{0,95}$/;
const REVISION = /^\w[\w.-]*(?:\/\w[\w.-]*)*$/;

/**
 * Parses `org/name[/folder][/file.gguf][:tag][@revision]`; undefined for any other text. The default revision
 * is `main`. A file has no tag.
 */
export function parseReference(text: string): HubReference | undefined {
  const [place = '', revision = 'main', ...more] = text.split('@');
  const [path = '', tag, ...tags] = place.split(':');
  const parts = path.split('/');
  const repo = parts.slice(0, 2).join('/');
  const inside = parts.slice(2);
  const file = /.\.gguf$/i.test(inside.at(-1) ?? '') ? inside.pop() : undefined;
  const folder = inside.join('/');
  const isRepo = parts.length >= 2 && repo.split('/').every((part) => PART.test(part) && !part.endsWith('.git'));
  if (!isRepo || more.length > 0 || /--|\.\./.test(repo)) return undefined;
  if (parts.length > 2 && !isSafePath(parts.slice(2).join('/'))) return undefined;
  if (tag !== undefined && (file !== undefined || tags.length > 0 || !TAG.test(tag) || tag.includes('..')))
    return undefined;
  const isRevision = revision.length <= 200 && REVISION.test(revision) && !/\.\.|\.lock(?:\/|$)/.test(revision);
  if (!isRevision) return undefined;
  return { repo, folder, revision, ...(file !== undefined && { file }), ...(tag && { tag: normalTag(tag) }) };
}

/** Name as on the command line. The revision `main` is omitted. */
export function nameOf(reference: HubReference): string {
  const { revision } = reference;
  return revision === 'main' ? nameWithoutRevision(reference) : `${nameWithoutRevision(reference)}@${revision}`;
}

/** `org/name[/folder][/file.gguf][:tag]`, without the revision. */
export function nameWithoutRevision({ repo, folder, file, tag }: HubReference): string {
  const path = [repo, folder, file].filter((part) => part).join('/');
  return tag === undefined ? path : `${path}:${tag}`;
}

/** True if a reference selects a GGUF model by a tag or by a file. */
export const selectsGguf = ({ tag, file }: HubReference): boolean => tag !== undefined || file !== undefined;

/** A git commit: 40 hexadecimal digits. */
export const COMMIT = /^[0-9a-f]{40}$/;

/** Longest path of a file in a repository that is accepted. */
const MAX_PATH = 200;

/**
 * True if a path from a repository is safe to join to a folder: relative, plain names, no `..`, nothing with
 * a special meaning on Windows.
 */
export function isSafePath(path: string): boolean {
  if (path.length > MAX_PATH) return false;
  return path.split('/').every((part) => /^[\w][\w.+-]*$/.test(part) && !part.includes('..') && !part.endsWith('.'));
}
