/**
 * The decoder: tokens to text. Each part of a tokenizer.json becomes a function from texts to texts; the
 * results are joined. Each part gives the result of the Rust library's part of the same name, except for runs
 * of byte tokens (see `bytesToText`). Pure.
 */
import { CTCDecoder, WordPieceDecoder } from '@huggingface/tokenizers';
import { z } from 'zod';
import { bytesOf } from './byte-level.ts';
import { expressionOf, patternFields } from './patterns.ts';

export type Decode = (tokens: readonly string[]) => readonly string[];

const part = z.looseObject({ type: z.string() });
const sequence = z.object({ decoders: z.array(z.unknown()) });
const replace = z.object({ pattern: patternFields, content: z.string() });
const strip = z.object({ content: z.string(), start: z.number().default(0), stop: z.number().default(0) });
const metaspace = z.object({
  replacement: z.string().default('▁'),
  add_prefix_space: z.boolean().default(true),
  prepend_scheme: z.string().default('always'),
});
const wordPiece = z.object({ prefix: z.string().default('##'), cleanup: z.boolean().default(true) });
const ctc = z.object({ pad_token: z.string(), word_delimiter_token: z.string(), cleanup: z.boolean().default(true) });

/** Malformed UTF-8 becomes U+FFFD; a byte-order mark stays. */
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** @throws Error for an unsupported decoder. */
export function decoderOf(definition: unknown): Decode {
  if (definition === null || definition === undefined) return (tokens) => [tokens.join(' ')];
  const fields = part.parse(definition);
  switch (fields.type) {
    case 'Sequence': {
      const steps = sequence.parse(fields).decoders.map(decoderOf);
      return (tokens) => steps.reduce((current, step) => step(current), tokens);
    }
    case 'ByteLevel':
      return (tokens) => [utf8.decode(Uint8Array.from(tokens.flatMap((token) => [...bytesOf(token)])))];
    case 'ByteFallback':
      return bytesToText;
    case 'Fuse':
      return (tokens) => [tokens.join('')];
    case 'Metaspace':
      return metaspaceOf(metaspace.parse(fields));
    case 'Replace': {
      const { pattern, content } = replace.parse(fields);
      const expression = expressionOf(pattern);
      return (tokens) => tokens.map((token) => token.replaceAll(expression, () => content));
    }
    case 'Strip': {
      const { content, start, stop } = strip.parse(fields);
      return (tokens) => tokens.map((token) => stripped(token, content, start, stop));
    }
    default:
      return wordDecoderOf(fields);
  }
}

function wordDecoderOf(fields: z.infer<typeof part>): Decode {
  switch (fields.type) {
    case 'WordPiece': {
      const library = new WordPieceDecoder({ type: 'WordPiece', ...wordPiece.parse(fields) });
      return (tokens) => library.decode_chain(tokens);
    }
    case 'CTC': {
      const library = new CTCDecoder({ type: 'CTC', ...ctc.parse(fields) });
      return (tokens) => library.decode_chain(tokens);
    }
    case 'BPEDecoder': {
      const { suffix } = z.object({ suffix: z.string().default('</w>') }).parse(fields);
      return (tokens) => tokens.map((token, at) => token.replaceAll(suffix, at + 1 === tokens.length ? '' : ' '));
    }
    default:
      throw new Error(`decoder.type ${JSON.stringify(fields.type)} is not supported: use another model`);
  }
}

/** The word-start mark becomes a space. In the first token it is dropped if the tokenizer prepends a mark. */
function metaspaceOf({ replacement, add_prefix_space, prepend_scheme }: z.infer<typeof metaspace>): Decode {
  const strips = add_prefix_space && prepend_scheme !== 'never';
  return (tokens) => tokens.map((token, at) => token.replaceAll(replacement, strips && at === 0 ? '' : ' '));
}

/**
 * Decodes runs of tokens like `<0x41>`. In a run of invalid UTF-8 the whole characters are kept and the rest
 * is U+FFFD; the Rust library turns the complete run into U+FFFD. A stream cannot take back text that it sent
 * while the run grew. Both ways give the same text for all ids that a tokenizer encoded.
 */
function bytesToText(tokens: readonly string[]): string[] {
  const texts: string[] = [];
  let run: number[] = [];
  const end = (): void => {
    if (run.length > 0) texts.push(utf8.decode(Uint8Array.from(run)));
    run = [];
  };
  for (const token of tokens) {
    const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1];
    if (byte === undefined) {
      end();
      texts.push(token);
    } else run.push(Number.parseInt(byte, 16));
  }
  end();
  return texts;
}

function stripped(token: string, content: string, start: number, stop: number): string {
  const chars = Array.from(token);
  let from = 0;
  while (from < start && chars[from] === content) from += 1;
  let to = chars.length;
  while (chars.length - to < stop && to > from && chars[to - 1] === content) to -= 1;
  return chars.slice(from, to).join('');
}
