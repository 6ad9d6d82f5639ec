/**
 * Three small vocabularies, trained on a few lines of many scripts, and a small normalization map: enough for
 * every way in which a tokenizer can split a text. Deterministic; no dependency.
 */
import { readFileSync } from 'node:fs';

const LINES = [
  "Six grey herons wait where the old canal bends, just quietly fishing. It's 1,234.56 o'clock, they'll say; we've DON'T know I'M here, you'd better!",
  'def main(argv):\n    for i in range(10):\n        print("hello world", i)\n\treturn 0\r\n\r\n\r\n',
  'Größe, façade, naïve café, smörgåsbord, Ærøskøbing, İstanbul, ΑΣ ὈΔΥΣΣΕΎΣ, Привет мир, вечером над рекой летят журавли, и ещё тёплый дождь',
  '日本語のテキストを分割する。東京都に住んでいます。中文字符也要分割，今天天气很好。한국어 텍스트입니다 안녕하세요',
  'שלום עולם, مرحبا بالعالم، नमस्ते दुनिया, ภาษาไทยไม่มีช่องว่าง, Tiếng Việt, ქართული, հայերեն, አማርኛ',
  '😀😃👩‍👩‍👧‍👦👍🏽🇩🇪🏳️‍🌈 ☃️ ∑∫√∞≠ €£¥ “quotes” — dashes … • bullets',
  'aaaa aaaaaaaa aaaaaaaaaaaaaaaa  bb   cc    dd     ee        ff                gg 000 111 2024-05-06 3.14159265358979',
];

const byteCharacters = (() => {
  let other = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
    return String.fromCharCode(printable ? byte : other++);
  });
})();

function corpus() {
  const lexicon = readFileSync(new URL('../haiku/lexicon.txt', import.meta.url), 'utf8');
  const words = lexicon.match(/\b[a-z]{3,9}\b/g).filter((_, at) => at % 7 === 0);
  return [...LINES, ...LINES, words.slice(0, 900).join(' ')].join('\n');
}

/** The usual training: merges the most frequent pair; among equals, the first in the order of characters. */
function train(words, count) {
  const counted = new Map();
  for (const word of words) counted.set(word, (counted.get(word) ?? 0) + 1);
  const sequences = [...counted].map(([word, times]) => ({ symbols: Array.from(word), times }));
  const merges = [];
  while (merges.length < count) {
    const pairs = new Map();
    for (const { symbols, times } of sequences) {
      for (let at = 0; at + 1 < symbols.length; at++) {
        const pair = `${symbols[at]}\u0000${symbols[at + 1]}`;
        pairs.set(pair, (pairs.get(pair) ?? 0) + times);
      }
    }
    const best = [...pairs].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))[0];
    if (best === undefined || best[1] < 2) break;
    const [left, right] = best[0].split('\u0000');
    merges.push([left, right]);
    for (const sequence of sequences) {
      const { symbols } = sequence;
      const merged = [];
      for (let at = 0; at < symbols.length; at++) {
        const joins = symbols[at] === left && symbols[at + 1] === right;
        merged.push(joins ? left + right : symbols[at]);
        if (joins) at += 1;
      }
      sequence.symbols = merged;
    }
  }
  return merges;
}

const numbered = (tokens) => Object.fromEntries([...new Set(tokens)].map((token, id) => [token, id]));

/** Merges across the places where patterns split, so that every split is visible in the ids, also after `a`. */
const ACROSS = [
  ...['oW', 'Ċ/', "n'", "Ġ'", '12', '23', '34', '1a', 'a.', '.a', 'ĠĊ', 'ĊĠ', 'ĊĊ', 'čĊ', '!!', "'L", "a'", 'ĠĠ', 'Ċx', '¿x'].map((pair) => Array.from(pair)),
  ...byteCharacters.slice(0xc2, 0xf5).map((lead) => ['a', lead]),
];

/** GPT-2's alphabet and merges over it. Some whole words are in the vocabulary without a merge, for `ignore_merges`. */
export function byteLevel() {
  const words = corpus().match(/'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu);
  const mapped = words.map((word) => Array.from(Buffer.from(word), (byte) => byteCharacters[byte]).join(''));
  const merges = [...train(mapped, 420), ...ACROSS];
  const made = merges.map(([left, right]) => left + right);
  return { vocab: numbered([...byteCharacters, ...made, 'Ġunmergeable', 'xyzzy', 'ĠĠĠĠĠĠĠĠĠĠĠĠĠ']), merges };
}

/** SentencePiece's BPE: three special tokens, the bytes, characters, merges over `▁`. Many characters exist only as bytes. */
export function sentencePiece() {
  const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
  const words = corpus().split(/[ \n\t\r]+/).map((word) => `▁${word}`);
  const merges = [...train(words, 380), ['▁', '▁'], ['▁▁', '▁▁'], ['▁▁▁▁', '▁▁▁▁'], ['a▁', 'b'], ['a', '▁'], ['\n', '\n'], ['e', '\u0301']];
  const characters = [...new Set(merges.flat().flatMap((token) => Array.from(token)))].sort();
  const made = merges.map(([left, right]) => left + right);
  return { vocab: numbered(['<unk>', '<s>', '</s>', ...bytes, ...characters, ...made]), merges: merges.map((pair) => pair) };
}

/** A unigram vocabulary: frequent pieces with their logarithmic frequency, with ties among the scores. */
export function unigram() {
  const seen = new Map();
  const words = corpus().split(/[ \n\t\r]+/).map((word) => Array.from(`▁${word}`));
  for (const word of words) {
    for (let from = 0; from < word.length; from++) {
      for (let length = 1; length <= 8 && from + length <= word.length; length++) {
        const piece = word.slice(from, from + length).join('');
        seen.set(piece, (seen.get(piece) ?? 0) + 1);
      }
    }
  }
  const often = [...seen].filter(([piece, times]) => times > 5 || (Array.from(piece).length === 1 && piece < '\u3000'));
  const kept = often.sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, 620);
  const scored = kept.map(([piece, times]) => [piece, Math.round(Math.log(times / 20_000) * 100) / 100]);
  const extra = [['▁▁', -9.5], ['x▁y', -4], ['aaaaaaaaaaaa', -8], ['e\u0301', -7]];
  const all = [['<pad>', 0], ['</s>', 0], ['<unk>', 0], ...scored, ...extra];
  return all.filter(([piece], at) => all.findIndex(([other]) => other === piece) === at);
}

/** Normalizations in the manner of nmt_nfkc of SentencePiece: compatibility forms, compositions, spaces, removed controls. */
export function charsmap() {
  const map = new Map();
  const add = (from, to) => map.set(from, to);
  for (const [first, last] of [[0xa0, 0xff], [0x2000, 0x2050], [0x2460, 0x2480], [0x3000, 0x3010], [0xfb00, 0xfb06], [0xff00, 0xffef]]) {
    for (let code = first; code <= last; code++) {
      const char = String.fromCodePoint(code);
      if (char.normalize('NFKC') !== char) add(char, char.normalize('NFKC'));
    }
  }
  for (const base of 'AEIOUaeiou') for (const mark of ['\u0300', '\u0301', '\u0308']) add(base + mark, (base + mark).normalize('NFKC'));
  for (const control of ['\u0001', '\u0007', '\u001f', '\u007f', '\u200b', '\u{E0001}']) add(control, '');
  for (const space of ['\t', '\n', '\r', '\u1680', '\u2028', '\ufeff', '\ufffd']) add(space, ' ');
  add('か\u3099', 'が');
  add('\u{1D400}', 'A');
  return compiled([...map]);
}

/** The map as SentencePiece stores it: a double array (Darts-clone), then the texts, each with a zero after it. */
function compiled(pairs) {
  const texts = [];
  const root = { children: new Map() };
  for (const [from, to] of pairs) {
    let node = root;
    for (const byte of Buffer.from(from)) {
      if (!node.children.has(byte)) node.children.set(byte, { children: new Map() });
      node = node.children.get(byte);
    }
    node.value = texts.length;
    texts.push(...Buffer.from(to), 0);
  }
  const units = [0];
  const used = new Set([0]);
  const place = (node, at, label) => {
    const labels = [...(node.value === undefined ? [] : [0]), ...node.children.keys()];
    if (labels.length === 0) return;
    let base = 1;
    while (labels.some((each) => used.has(base ^ each)) || (at ^ base) >= 1 << 21) base += 1;
    for (const each of labels) used.add(base ^ each);
    units[at] = (((at ^ base) << 10) | (node.value === undefined ? 0 : 0x100) | label) >>> 0;
    if (node.value !== undefined) units[base] = (node.value | 0x8000_0000) >>> 0;
    for (const [byte, child] of node.children) place(child, base ^ byte, byte);
  };
  place(root, 0, 0);
  const length = Math.ceil((Math.max(...used) + 1) / 256) * 256;
  const out = Buffer.alloc(4 + 4 * length + texts.length);
  out.writeUInt32LE(4 * length, 0);
  for (let at = 0; at < length; at++) out.writeUInt32LE(units[at] ?? 0, 4 + 4 * at);
  Buffer.from(texts).copy(out, 4 + 4 * length);
  return out.toString('base64');
}
