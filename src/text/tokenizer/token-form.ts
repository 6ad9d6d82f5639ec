/** The text and the bytes of one token by itself, for reports of log-probabilities. Pure. */
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
    const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1];
    return byte === undefined ? undefined : formOfBytes([Number.parseInt(byte, 16)]);
  };
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
