/** Reads the prompts of a completion request. Pure. */
import { OPENAI_LIMITS } from '../../../contract/openai/fields.ts';
import type { Input } from '../../../jobs/order.ts';
import { invalidField } from '../../dialect/check.ts';

const FORMS = 'a text, a list of texts, a list of token ids, or a list of such lists';

/**
 * The prompts of a body: one for a text or a list of ids, several for a list of texts or of lists of ids.
 * @param addSpecialTokens false: texts get no special tokens
 * @throws WorkerError `INVALID_REQUEST` that names the prompt of another form
 */
export function promptsOf(prompt: unknown, addSpecialTokens: boolean): readonly Input[] {
  const text = (one: unknown, path: string): Input => ({ prompt: textIn(one, path), raw: true, addSpecialTokens });
  if (prompt === undefined) throw invalidField('prompt', 'required', 'prompt is required');
  if (typeof prompt === 'string') return [text(prompt, 'prompt')];
  if (!Array.isArray(prompt)) throw formError('prompt', FORMS);
  if (prompt.length === 0) throw invalidField('prompt', 'minimum', 'prompt must have at least one item');
  const list: readonly unknown[] = prompt;
  if (typeof list[0] === 'number') return [{ ids: idsIn(list, 'prompt') }];
  requireFew(list.length, 1);
  if (Array.isArray(list[0])) return list.map((one, index) => ({ ids: idsIn(one, `prompt[${index}]`) }));
  if (typeof list[0] === 'string') return list.map((one, index) => text(one, `prompt[${index}]`));
  throw formError('prompt', FORMS);
}

/** @throws WorkerError `INVALID_REQUEST` if a request has too many outputs */
export function requireFew(prompts: number, choices: number): void {
  if (prompts * choices <= OPENAI_LIMITS.sequences) return;
  const message = `prompt must have at most ${OPENAI_LIMITS.sequences} prompts, multiplied by n, but has ${prompts * choices}`;
  throw invalidField('prompt', 'maximum', message);
}

function textIn(given: unknown, path: string): string {
  if (typeof given !== 'string') throw formError(path, 'a text, as the first prompt is');
  if (given.isWellFormed()) return given;
  const message = `${path} must be well-formed Unicode, without half of a surrogate pair such as \\ud800`;
  throw invalidField(path, 'unicode', message);
}

function idsIn(given: unknown, path: string): readonly number[] {
  if (!Array.isArray(given)) throw formError(path, 'a list of token ids, as the first prompt is');
  if (given.length === 0) throw invalidField(path, 'minimum', `${path} must have at least one token id`);
  const wrong = given.findIndex((id) => !Number.isSafeInteger(id) || id < 0);
  if (wrong >= 0) throw formError(`${path}[${wrong}]`, 'a token id, a whole number from 0 up');
  return given as number[];
}

const formError = (path: string, form: string) => invalidField(path, 'type', `${path} must be ${form}`);
