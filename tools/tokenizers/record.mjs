/**
 * Writes the results of the native library for every family and every hostile text: the fixtures of test/text.
 * To be repeated when the version of the library changes.
 *
 * Usage: node tools/tokenizers/record.mjs FOLDER, where `npm install --ignore-scripts tokenizers@0.23.2` was run in FOLDER.
 */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { assigned } from './assigned.mjs';
import { charsmapText, FAMILIES, tokenizerOf, vocabularies } from './families.mjs';
import { around, RUNS, TEXTS } from './texts.mjs';

/** Texts whose ids are written out, for readers. The other texts get a digest. */
const SPELLED = 14;
const BLOCK = 1024;

const { Tokenizer } = createRequire(join(resolve(process.argv[2]), 'here.js'))('tokenizers');
const fixture = (name) => new URL(`../../test/text/fixtures/${name}`, import.meta.url);
const digest = (value) => createHash('sha256').update(value).digest('hex').slice(0, 8);

const blocks = [];
for (let first = 0; first < 0x11_0000; first += BLOCK) {
  const codes = assigned(first, first + BLOCK - 1);
  if (codes.length > 0) blocks.push({ first, codes });
}

const expected = {};
for (const [name, family] of Object.entries(FAMILIES)) {
  const definition = tokenizerOf(family);
  const native = Tokenizer.fromString(JSON.stringify(definition));
  const ids = async (text, addSpecialTokens) => (await native.encode(text, null, { addSpecialTokens })).getIds();
  // Since 0.23 the native library decodes such a token to its normalized text, special or not: see docs/decisions/0014-tokenizers-of-our-own-stages.md.
  const odd = new Set(definition.added_tokens.filter((token) => token.normalized && definition.normalizer).map(({ id }) => id));
  const texts = [];
  for (const [at, text] of TEXTS.entries()) {
    const framed = await ids(text, true);
    const decoded = framed.some((id) => odd.has(id)) ? '' : digest(await native.decode(framed, true));
    texts.push(at < SPELLED ? [framed.join(' '), decoded] : [digest(framed.join(' ')), decoded]);
  }
  const runs = [];
  for (const { unit, times } of RUNS) runs.push(digest((await ids(unit.repeat(times), false)).join(' ')));
  const planes = [];
  for (const { codes } of blocks) planes.push(digest((await ids(around(codes), false)).join(' ')));
  expected[name] = { texts, runs: runs.join(' '), blocks: planes.join(' ') };
}

const definitions = Object.fromEntries(
  Object.entries(FAMILIES).map(([name, family]) => {
    const { model, normalizer, ...rest } = tokenizerOf(family);
    const { vocab: _vocab, merges: _merges, ...options } = model;
    const slim = normalizer?.precompiled_charsmap ? { type: 'Precompiled' } : normalizer;
    return [name, { ...rest, normalizer: slim, model: options, vocabulary: family.model }];
  }),
);
writeFileSync(fixture('tokenizers.json'), `${JSON.stringify({ vocabularies, charsmap: charsmapText, definitions })}\n`);
const lines = (value) => JSON.stringify(value).replaceAll(/,\[/g, ',\n[');
const families = Object.entries(expected).map(([name, value]) => `${JSON.stringify(name)}:${lines(value)}`);
writeFileSync(
  fixture('expected-ids.json'),
  `{"texts":${lines(TEXTS)},\n"runs":${lines(RUNS)},\n"blocks":${JSON.stringify(blocks.map(({ codes }) => rangesOf(codes)))},\n"families":{${families.join(',\n')}}}\n`,
);

/** `41-5a,61` of code points in order. */
function rangesOf(codes) {
  const ranges = [];
  for (const code of codes) {
    const last = ranges.at(-1);
    if (last?.[1] === code - 1) last[1] = code;
    else ranges.push([code, code]);
  }
  return ranges.map(([first, last]) => (first === last ? first.toString(16) : `${first.toString(16)}-${last.toString(16)}`)).join(',');
}
