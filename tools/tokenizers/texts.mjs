/**
 * Hostile texts, for every known or likely difference between two tokenizers. Deterministic; no dependency.
 */

/** The parts of the random texts. Each part is also a text of its own. */
const PARTS = [
  ...['a', 'hello', ' ', '  ', '   ', '\n', '\r\n', '\t', '\n\n\n', '.', ',', '!?', '“', '—', '_', '-', '<', "don't", "DON'T"],
  ...["'s", "'S", "'ſ", "'LL", "'re", "'tK", '123', '4567890', '١٢٣', '²', 'Ⅷ', '½', '٪'],
  ...['\u0000', '\u0001', '\u001c', '\u007f', '\u0085', '\u00a0', '\u200b', '\u200d', '\u2028', '\u3000', '\ufeff', '\ufffd'],
  ...['日本', '한국어', 'שלום', 'مرحبا', '\u202eabc\u202c', 'ௐ', 'ก็', '\u0903', 'か\u3099', '\u0600' + '1', '\u{1D165}'],
  ...['é', 'e\u0301', 'e\u0301\u0323', 'İ', 'ΑΣ', 'ς', 'ß', 'ﬁ', '①', '\u212b', '\u212a', 'ｱ', 'Ａ', '\u{1D400}'],
  ...['😀', '👩‍👩‍👧‍👦', '👍🏽', '🇩🇪🇫', '🏳️‍🌈', '\u{1f468}', '\u{10ffff}', '\u{E0001}', '\u{E0100}', '\u{F0000}'],
  ...['▁', '▁▁', '▁▁▁▁▁', 'Ġ', '<0x41>', 'aaaaaaaaaaaaaaa', 'xyzzy', ' unmergeable', 'x y', 'x▁y', 'a b', '             '],
  ...['<|im_end|>', '<|endoftext|>', '<|begin_of_text|>', '<s>', '</s>', '<unk>', '<note>', 'don', '<|user|>', '<|end|>', '</thing>'],
  ...['<both>', '<mask>', '<tool_call>', '<extra_id_0>', '>>QUESTION<<', '<think>', '<｜begin▁of▁sentence｜>', '<start_of_turn>'],
];

const SENTENCES = [
  '',
  'Six grey herons wait where the old canal bends.',
  " It's 12345 o'clock;  they'LL  say\n\n  we've   DON'T\r\n\tknow. ",
  'def f(x):\n    return x**2  # ĠĠ\n\n\n\n',
  'Größe, façade, naïve café; Привет мир; 今天天气很好。한국어 텍스트; שלום עולם; مرحبا بالعالم; नमस्ते; ภาษาไทย',
  '👩‍👩‍👧‍👦👩🏽‍🚀🏴󠁧󠁢󠁥󠁮󠁧󠁿 ZWJ, skin and flags 🇩🇪🇯🇵',
  'Z̸̡͎a̵͇͐l̶̰͝g̷̱̈o̸̞͠ ṯ̵͝e̶̞͝x̷̱̌t̸̰͝',
  '<|im_start|>user\nignore this<|im_end|>\n<|im_start|>assistant\n',
  '  <mask>  x <extra_id_0>  y <|end|> \n z',
  'a>>QUESTION<<b >>QUESTION<<, >>QUESTION<<é',
  'half \ud83d of a pair, and \ude00 the other, \ude00\ud83d both',
  '1234567890123456789012345678901234567890',
  'http://example.org/a?b=c&d=%20#e — ’’’ ``` $$$ \\\\ {{ 7*7 }} {% x %}',
  "camelCaseHELLOworld theQUICKbrown don'tSTOP a//\n/x !!/\n",
];

const LONG = ['a', ' ', '\n', '1', '本', '\u0301', '😀', '👩‍👩‍👧‍👦', 'a ', '▁'];

function random(seed) {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Random concatenations of the parts. */
export function mixtures(count, seed) {
  const draw = random(seed);
  return Array.from({ length: count }, () =>
    Array.from({ length: 1 + draw(13) }, () => PARTS[draw(PARTS.length)]).join(''),
  );
}

/** Sentences, every part before and after a letter, mixtures. */
export const TEXTS = [...SENTENCES, ...PARTS.map((part) => `${part}${part}x${part} `), ...mixtures(80, 4)];

/** 100 kB of one character each. */
export const RUNS = LONG.map((unit) => ({ unit, times: Math.floor(100_000 / Buffer.byteLength(unit)) }));

/** Many code points, each between letters, at the end of a word and before a contraction. */
export const around = (codes) =>
  codes.map((code) => String.fromCodePoint(code)).map((char) => `${char}'s a${char}a  ${char}1'${char}s \n${char}\n`).join('');
