/**
 * Names of models on the hub: `org/name[/folder][@revision]`. Names come from the command line and become
 * parts of paths and URLs, so only names that match the pattern are accepted. Pure.
 */

/** A model on the hub at one revision. */
export interface HubReference {
  /** `org/name`. */
  readonly repo: string;
  /**
   * Folder of the model inside the repository, '' for its root. GenAI exports have one folder for each
   * device.
   */
  readonly folder: string;
  /** A branch, a tag, `refs/pr/1` or a commit. */
  readonly revision: string;
}

export const REFERENCE_RULE =
  'org/name, org/name/folder, either with @revision, of A-Z a-z 0-9 . _ - (names up to 96 characters, no -- and no ..)';

/**
 * One part of a repository's name, by the rules of huggingface_hub (utils/_validators.py): begins and ends
 * with a letter, digit or `_`.
 */
const PART = /^\w(?:[\w.-]{0,94}\w)?$/;
const REVISION = /^\w[\w.-]*(?:\/\w[\w.-]*)*$/;

/** Parses `org/name[/folder][@revision]`; undefined for any other text. The default revision is `main`. */
export function parseReference(text: string): HubReference | undefined {
  const [path = '', revision = 'main', ...more] = text.split('@');
  const parts = path.split('/');
  const repo = parts.slice(0, 2).join('/');
  const folder = parts.slice(2).join('/');
  const isRepo = parts.length >= 2 && repo.split('/').every((part) => PART.test(part) && !part.endsWith('.git'));
  if (!isRepo || more.length > 0 || /--|\.\./.test(repo)) return undefined;
  if (parts.length > 2 && !isSafePath(folder)) return undefined;
  const isRevision = revision.length <= 200 && REVISION.test(revision) && !/\.\.|\.lock(?:\/|$)/.test(revision);
  return isRevision ? { repo, folder, revision } : undefined;
}

/** Name as on the command line. The revision `main` is omitted. */
export function nameOf(reference: HubReference): string {
  const { revision } = reference;
  return revision === 'main' ? nameWithoutRevision(reference) : `${nameWithoutRevision(reference)}@${revision}`;
}

/** `org/name[/folder]`, without the revision. */
export function nameWithoutRevision({ repo, folder }: HubReference): string {
  return folder === '' ? repo : `${repo}/${folder}`;
}

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
