/** The choice between forced ids and looked-up ids. */
import { describe, expect, it } from 'vitest';
import { RunCost } from '../../../src/engine/cost-model.ts';
import { draftFor } from '../../../src/engine/drafts/draft.ts';
import { MAX_DRAFT } from '../../../src/engine/drafts/prompt-lookup.ts';
import { Constraint } from '../../../src/engine/sampling/constraint.ts';
import { Sequence } from '../../../src/engine/sequence.ts';
import { Grammar } from '../../../src/grammar/matching/grammar.ts';
import { Vocabulary } from '../../../src/grammar/matching/vocabulary.ts';
import { unpackProgram } from '../../../src/grammar/packed-program.ts';
import { choice, END, haikuVocabulary, literal, textOf } from '../grammars.ts';
import { request } from '../harness.ts';

const vocabulary = new Vocabulary(haikuVocabulary);
const LONG = '{"one":1,"two":2,"three":3,"four":4,"five":5,"six":6}';
/** A run of several tokens costs as much as a run of one. */
const free = new RunCost();
for (let size = 1; size <= MAX_DRAFT + 1; size += 1) free.note(size, 1);
/** A run of two tokens costs more than two runs of one, up to four tokens. */
const dear = new RunCost();
for (const [size, ms] of [1, 3, 4, 5, 4.9, 20].entries()) dear.note(size + 1, ms);

function sequence(grammar: ReturnType<typeof literal> | undefined, more: Parameters<typeof request>[0] = {}): Sequence {
  const constraint =
    grammar && new Constraint(new Grammar(unpackProgram(grammar.program), vocabulary), 100, () => undefined);
  return new Sequence(request({ maxTokens: 100, ...more }), 0, constraint);
}

describe('a draft', () => {
  it('has the forced ids, as many as a run may have', () => {
    const draft = draftFor(sequence(literal(LONG)), 50, free);
    expect(draft?.forced).toBe(true);
    expect(draft?.ids).toHaveLength(MAX_DRAFT);
    expect(LONG.startsWith(textOf(draft?.ids ?? []))).toBe(true);
    expect(draftFor(sequence(literal(LONG)), 3, free)?.ids).toEqual(draft?.ids.slice(0, 3));
  });

  it('is as long as its run costs no more than single steps', () => {
    const ids = draftFor(sequence(literal(LONG)), 50, free)?.ids ?? [];
    expect(draftFor(sequence(literal(LONG)), 5, dear)?.ids).toEqual(ids.slice(0, 4));
    expect(draftFor(sequence(literal(LONG)), 2, dear)).toBeUndefined();
  });

  it('has looked-up ids that the grammar allows, where it forces none', () => {
    const [a = 0, n = 0] = Array.from('ab', (letter) => idOf(letter));
    const prompt = [a, n, a, n, a, n, a, n];
    const plain = draftFor(sequence(undefined, { prompt }), 6, free);
    expect(plain).toEqual({ ids: [a, n, a, n, a, n].slice(0, plain?.ids.length) });
    expect(plain?.ids.length).toBeGreaterThan(2);
    const texts = choice('a', 'ab', 'abx', 'b');
    expect(draftFor(sequence(texts, { prompt }), 6, free)?.ids).toEqual([a, n]);
    expect(draftFor(sequence(choice('x', 'y'), { prompt }), 6, free)).toBeUndefined();
  });

  it('has no end id', () => {
    const prompt = [9, 8, END, 7, 9, 8, END, 7, 9];
    expect(draftFor(sequence(undefined, { prompt, endIds: [] }), 6, free)?.ids.slice(0, 3)).toEqual([8, END, 7]);
    expect(draftFor(sequence(undefined, { prompt, endIds: [END] }), 6, free)).toEqual({ ids: [8] });
    const forced = draftFor(sequence(literal(LONG)), 50, free)?.ids ?? [];
    const cut = draftFor(sequence(literal(LONG), { endIds: [forced[2] ?? 0] }), 50, free);
    expect(cut?.ids).toEqual(forced.slice(0, 2));
  });
});

/** The id of the embedded model for a text of one token. */
function idOf(text: string): number {
  for (let id = 4; ; id += 1) if (textOf([id]) === text) return id;
}
