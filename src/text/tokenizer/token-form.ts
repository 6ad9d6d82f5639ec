/**
 * The text and the bytes of one token by itself, for reports of log-probabilities and for grammars. Pure.
 */
import { z } from 'zod';
import { bytesOf } from './stages/byte-level.ts';

/** A token by itself. */
export interface TokenForm {
  /** U+FFFD for each part that is no whole character. */
  readonly text: string;
  /** The exact bytes, also of a part of a character. */
  readonly bytes: readonly number[];
}

/** The forms of the tokens of a tokenizer. */
export interface TokenForms {
  formOf(id: number): TokenForm;
}

const part = z.looseObject({ type: z.string(), decoders: z.array(z.unknown()).optional() });
const BYTE = /^<0x([0-9A-Fa-f]{2})>$/;
const lossy = new TextDecoder('utf-8', { ignoreBOM: true });
const encoder = new TextEncoder();

/** The form of a text that has whole characters only. */
export const formOfText = (text: string): TokenForm => ({ text, bytes: Array.from(encoder.encode(text)) });

/**
 * Returns a function for the tokens that stand for bytes and not for a text: all tokens of a byte-level
 * decoder, and tokens such as `<0xE2>` of a decoder with byte fallback. It returns undefined for all others.
 */
export function byteForms(decoder: unknown): (token: string) => TokenForm | undefined {
  const types = typesOf(decoder);
  if (types.includes('ByteLevel')) return (token) => formOfBytes(Array.from(bytesOf(token)));
  if (!types.includes('ByteFallback')) return () => undefined;
  return (token) => {
    const byte = BYTE.exec(token)?.[1];
    return byte === undefined ? undefined : formOfBytes([Number.parseInt(byte, 16)]);
  };
}

/**
 * Returns a function for the bytes that a token adds to a text: equal to the bytes of its form, in a tenth of
 * the time. It returns undefined for a token that must be decoded.
 */
export function addedBytes(decoder: unknown): (token: string) => ArrayLike<number> | undefined {
  const types = typesOf(decoder);
  if (types.includes('ByteLevel')) return bytesOf;
  const space = spaceMark(decoder);
  const isByte = types.includes('ByteFallback') ? BYTE : undefined;
  return (token) => {
    const byte = isByte?.exec(token)?.[1];
    if (byte !== undefined) return [Number.parseInt(byte, 16)];
    return space === undefined ? undefined : encoder.encode(token.replaceAll(space, ' '));
  };
}

const metaspace = z.object({ type: z.literal('Metaspace'), replacement: z.string().min(1).default('▁') });
const replace = z.object({
  type: z.literal('Replace'),
  pattern: z.object({ String: z.string().min(1) }),
  content: z.literal(' '),
});
const strip = z.object({
  type: z.literal('Strip'),
  content: z.literal(' '),
  start: z.literal([0, 1]).default(0),
  stop: z.literal(0).default(0),
});
const byteFallback = z.object({ type: z.literal('ByteFallback') });
const fuse = z.object({ type: z.literal('Fuse') });
const chain = z.object({
  type: z.literal('Sequence'),
  decoders: z.union([z.tuple([replace, byteFallback, fuse]), z.tuple([replace, byteFallback, fuse, strip])]),
});

/**
 * The characters that become a space, of a decoder that does nothing else to a token within a text:
 * Metaspace, and the usual chain for SentencePiece, which may strip one space at the start of a text.
 * Undefined for every other decoder.
 */
function spaceMark(decoder: unknown): string | undefined {
  const simple = metaspace.safeParse(decoder).data;
  if (simple) return simple.replacement;
  return chain.safeParse(decoder).data?.decoders[0].pattern.String;
}

const formOfBytes = (bytes: readonly number[]): TokenForm => ({
  text: lossy.decode(Uint8Array.from(bytes)),
  bytes,
});

/** The types of a decoder and of the decoders in it. */
function typesOf(decoder: unknown): string[] {
  const fields = part.safeParse(decoder);
  if (!fields.success) return [];
  return [fields.data.type, ...(fields.data.decoders ?? []).flatMap(typesOf)];
}
