/** The ids that end an output: those that a GGUF file names, and the known ends of a turn. Pure. */
import { TOKEN_TYPE, type TokenList } from './token-list.ts';
import type { TokenizerMetadata } from './tokenizer-metadata.ts';

/** Texts of tokens that end a turn or a text in known models. */
const ENDS: ReadonlySet<string> = new Set([
  '<|eot_id|>',
  '<|eom_id|>',
  '<|im_end|>',
  '<|end|>',
  '<|return|>',
  '<|call|>',
  '<|calls|>',
  '<|flush|>',
  '<|endoftext|>',
  '<|end_of_text|>',
  '<end_of_turn>',
  '<end_of_utterance>',
  '<turn|>',
  '<|tool_response>',
  '<eos>',
  '</s>',
  '<EOT>',
  '_<EOT>',
  '[EOT]',
  '[EOS]',
  '<｜end▁of▁sentence｜>',
  '[e~[',
]);

/** Tokens that end no output if all tokens of a list exist. */
const EXCEPTIONS: readonly { readonly kept: string; readonly beside: readonly string[] }[] = [
  // Each message of harmony ends with this token, and the output continues with the next channel.
  { kept: '<|end|>', beside: ['<|return|>', '<|call|>'] },
  { kept: '<|end|>', beside: ['<|flush|>', '<|calls|>'] },
  { kept: '</s>', beside: ['<|tool_response>'] },
];

/** Keys of the ids that end an output. */
const NAMED = ['eos', 'eot', 'eom'] as const;

/** The ids, those of the metadata first. */
export function endIds(
  { texts, types, idOf }: TokenList,
  fields: TokenizerMetadata,
  defaults: Readonly<Record<string, number>>,
): readonly number[] {
  const named = NAMED.flatMap((name) => fields.id(name, texts.length) ?? defaults[name] ?? []);
  // Other types are text: Gemma has a token for the tag </s> of HTML.
  const known = [...ENDS].flatMap((text) => idOf.get(text) ?? []).filter((id) => types[id] === TOKEN_TYPE.control);
  const isKept = (id: number): boolean =>
    EXCEPTIONS.some(({ kept, beside }) => texts[id] === kept && beside.every((text) => idOf.has(text)));
  return [...new Set([...named, ...known])].filter((id) => id < texts.length && !isKept(id));
}
