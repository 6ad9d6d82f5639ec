/**
 * Explains a refusal of the hub. The hub's error code is more specific than the status (huggingface_hub,
 * utils/_http.py): for example, the hub also responds with 401 for a repository that does not exist. Pure.
 */
import { type HubReference, nameOf } from '../reference.ts';
import type { HeaderFields } from './wait-headers.ts';

/** What was asked of which hub, and with which token. */
export interface Asked {
  readonly endpoint: string;
  readonly reference: HubReference;
  /** Name of the place of the token: `HF_TOKEN`, or `the token in <path>`; undefined without a token. */
  readonly tokenSource: string | undefined;
}

/** A sentence that names the cause and the remedy. */
export function explainRefusal(
  status: number,
  headers: HeaderFields,
  { endpoint, reference, tokenSource }: Asked,
): string {
  const code = textOf(headers['x-error-code']);
  const { repo, revision } = reference;
  const page = `${endpoint}/${repo}`;
  const advice =
    tokenSource === undefined
      ? 'set HF_TOKEN to a token with read access, or run "hf auth login"'
      : `${tokenSource} has no read access`;
  if (status === 401 && tokenSource !== undefined && /^invalid /i.test(textOf(headers['x-error-message'])))
    return `${new URL(endpoint).host} refuses ${tokenSource} (401), which is invalid or expired: replace or remove it; it is used before every other token.`;
  if (code === 'GatedRepo' || (status === 403 && code === ''))
    return `${repo} is gated (${status}): request access at ${page}; ${advice}.`;
  if (code === 'RevisionNotFound') return `${repo} has no revision ${revision} (404): see ${page}.`;
  if (code === 'EntryNotFound') return `${nameOf(reference)} lost a file during the pull (404): try again.`;
  if (code === 'RepoNotFound' || status === 401 || status === 404)
    return `${repo} does not exist or is private (${status}): check the name at ${endpoint}; if it is private, ${advice}.`;
  return `${new URL(endpoint).host} refuses ${repo} with status ${status}.`;
}

function textOf(value: HeaderFields[string]): string {
  return typeof value === 'string' ? value : '';
}
