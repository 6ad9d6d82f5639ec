/**
 * White space that special tokens take from the text around them. A GGUF file lacks these flags; the models
 * of the Phi family are the known ones that set them. Pure.
 */
import { KEYS, type TokenizerMetadata } from './tokenizer-metadata.ts';

export interface DroppedSpace {
  readonly lstrip: boolean;
  readonly rstrip: boolean;
}
type Rule = (token: string) => DroppedSpace;

const KEPT: DroppedSpace = { lstrip: false, rstrip: false };
const AFTER: DroppedSpace = { lstrip: false, rstrip: true };

const PHI3_KEEPS: ReadonlySet<string> = new Set(['<unk>', '<s>', '<|endoftext|>']);
const PHI4_MINI_DROPS: ReadonlySet<string> = new Set(['<|assistant|>', '<|end|>', '<|user|>', '<|system|>', '<|tag|>']);

/** Rules of the architecture `phi3`, by the tokenizer. */
const PHI: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ['llama', (token) => (PHI3_KEEPS.has(token) ? KEPT : AFTER)],
  // Phi-4
  ['dbrx', () => ({ lstrip: true, rstrip: true })],
  // Phi-4-mini
  ['gpt-4o', (token) => (PHI4_MINI_DROPS.has(token) ? AFTER : KEPT)],
]);

/** The flags of an added token by its text. */
export function droppedSpace(fields: TokenizerMetadata): Rule {
  const model = fields.text(KEYS.model);
  const rule = PHI.get((model === 'gpt2' ? fields.text(KEYS.pre) : model) ?? '');
  return fields.text('general.architecture') === 'phi3' && rule !== undefined ? rule : () => KEPT;
}
