/**
 * GPT-2's byte alphabet: one printable character for each byte, so that a vocabulary of strings can hold any
 * bytes. Pure.
 */
const encoder = new TextEncoder();

/**
 * Character of each byte: printable Latin-1 bytes map to themselves, the others to characters from U+0100 on.
 */
export const BYTE_CHARACTERS: readonly string[] = alphabet();
const BYTES: ReadonlyMap<string, number> = new Map(BYTE_CHARACTERS.map((char, byte) => [char, byte]));

/** A text's UTF-8 bytes, one character for each byte. */
export function bytesAsCharacters(text: string): string {
  let characters = '';
  for (const byte of encoder.encode(text)) characters += BYTE_CHARACTERS[byte] ?? '';
  return characters;
}

/**
 * The bytes of a token's characters. A token with a character outside the alphabet, such as an added token
 * with a space, gives its own UTF-8 bytes.
 */
export function bytesOf(token: string): readonly number[] | Uint8Array {
  const bytes: number[] = [];
  for (const char of token) {
    const byte = BYTES.get(char);
    if (byte === undefined) return encoder.encode(token);
    bytes.push(byte);
  }
  return bytes;
}

function alphabet(): string[] {
  let other = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
    return String.fromCharCode(printable ? byte : other++);
  });
}
