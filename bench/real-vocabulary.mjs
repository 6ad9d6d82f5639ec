/** Real vocabularies of byte-level tokens for benches: those of js-tiktoken, a package of the peers. */
import { createRequire } from 'node:module';
import { installPeers, PEERS } from './processes.mjs';

/**
 * The bytes of the first tokens of a vocabulary, by id.
 * @param name `cl100k_base` (100 256 tokens) or `o200k_base` (199 998 tokens)
 */
export async function tokensOf(name, count = Number.POSITIVE_INFINITY) {
  installPeers(['js-tiktoken']);
  const { default: ranks } = await import(createRequire(`${PEERS}package.json`).resolve(`js-tiktoken/ranks/${name}`));
  const tokens = [];
  for (const line of ranks.bpe_ranks.split('\n')) {
    const [, offset, ...texts] = line.split(' ');
    for (const [index, text] of texts.entries()) tokens[Number(offset) + index] = Buffer.from(text, 'base64');
  }
  return tokens.slice(0, count);
}

/** Byte → its printable character in byte-level BPE: printable Latin-1 is itself, the others are U+0100 and up. */
const ALPHABET = (() => {
  const isPrintable = (byte) => (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte < 0xad) || byte > 0xad;
  let others = 0;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isPrintable(byte) ? byte : 0x100 + others++));
})();

/** A token as tokenizer.json has it. */
export const spelled = (bytes) => Array.from(bytes, (byte) => ALPHABET[byte]).join('');
