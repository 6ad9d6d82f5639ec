/**
 * GPT-2's alphabet of bytes: every byte as one printable character, so that a vocabulary of texts can hold any bytes. Touches nothing.
 */
const encoder = new TextEncoder();

/** The character of each byte: printable Latin-1 stands for itself, the rest from U+0100 on. */
const CHARACTERS: readonly string[] = alphabet();
const BYTES: ReadonlyMap<string, number> = new Map(CHARACTERS.map((char, byte) => [char, byte]));

/** A text's UTF-8 bytes, one character for each. */
export function bytesAsCharacters(text: string): string {
  let characters = '';
  for (const byte of encoder.encode(text)) characters += CHARACTERS[byte] ?? '';
  return characters;
}

/** The bytes that a token's characters stand for; its own UTF-8 if one of them stands for none, as for an added token with a space. */
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
