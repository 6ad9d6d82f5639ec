/**
 * `org/name[/folder][@revision]`: what a model on the hub is called. Names come from the command line and become parts of paths and URLs,
 * so that what does not fit the pattern is not a name.
 */

/** A model on the hub, at one of its revisions. */
export interface HubReference {
  /** `org/name`. */
  readonly repo: string;
  /** Where in the repository the model lies, '' at its root: GenAI exports have a folder for each device. */
  readonly folder: string;
  /** A branch, a tag, `refs/pr/1` or a commit. */
  readonly revision: string;
}

export const REFERENCE_RULE =
  'org/name, org/name/folder, either with @revision, of A-Z a-z 0-9 . _ - (names up to 96 characters, no -- and no ..)';

/** One part of a repository's name, by the rules of huggingface_hub (utils/_validators.py): begins and ends with a letter, digit or `_`. */
const PART = /^\w(?:[\w.-]{0,94}\w)?$/;
const REVISION = /^\w[\w.-]*(?:\/\w[\w.-]*)*$/;

/** Reads `org/name[/folder][@revision]`; undefined for anything else. Without a revision it is `main`. */
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

/** As it is written on a command line; `main` goes without saying. */
export function nameOf(reference: HubReference): string {
  const { revision } = reference;
  return revision === 'main' ? nameWithoutRevision(reference) : `${nameWithoutRevision(reference)}@${revision}`;
}

/** `org/name[/folder]`, whatever the revision. */
export function nameWithoutRevision({ repo, folder }: HubReference): string {
  return folder === '' ? repo : `${repo}/${folder}`;
}

/** What git calls a commit: 40 hexadecimal digits. */
export const COMMIT = /^[0-9a-f]{40}$/;

/** Longest path that is taken from a repository. */
const MAX_PATH = 200;

/** Whether a path from a repository may be joined to a folder: relative, plain names, no way up, nothing that Windows reads otherwise. */
export function isSafePath(path: string): boolean {
  if (path.length > MAX_PATH) return false;
  return path.split('/').every((part) => /^[\w][\w.+-]*$/.test(part) && !part.includes('..') && !part.endsWith('.'));
}
