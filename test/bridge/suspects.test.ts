/** Which sequences are tested alone after two losses, and which one is the culprit. */
import { expect, test } from 'vitest';
import { PROVEN_IDS, Suspects } from '../../src/bridge/suspects.ts';

interface Fake {
  generated: number;
  paused: boolean;
}
const fake = (generated = 0): Fake => ({ generated, paused: false });

/** Suspects after two losses in which both sequences ran. */
function afterTwo(): { suspects: Suspects<Fake>; one: Fake; two: Fake } {
  const suspects = new Suspects<Fake>();
  const [one, two] = [fake(), fake(30)];
  suspects.lost([one, two]);
  suspects.lost([one, two]);
  return { suspects, one, two };
}

test('one loss makes no suspect, the second in a row makes one of each sequence that ran in both', () => {
  const suspects = new Suspects<Fake>();
  const [both, early, late] = [fake(), fake(), fake()];
  suspects.lost([both, early]);
  expect(suspects.alone).toBeUndefined();
  suspects.lost([both, late]);
  expect(suspects.alone).toBe(both);
  expect([both, early, late].map((one) => suspects.has(one))).toEqual([true, false, false]);
});

test('a sequence that has made progress since the first loss is no suspect after the second one', () => {
  const suspects = new Suspects<Fake>();
  const [quick, slow] = [fake(3), fake(3)];
  suspects.lost([quick, slow]);
  quick.generated += PROVEN_IDS;
  slow.generated += PROVEN_IDS - 1;
  suspects.lost([quick, slow]);
  expect([suspects.has(quick), suspects.has(slow)]).toEqual([false, true]);
});

test('suspects are tested one after another, each until it has made progress or has ended', () => {
  const { suspects, one, two } = afterTwo();
  const three = fake();
  suspects.lost([three]);
  suspects.lost([three]);
  expect(suspects.alone).toBe(one);
  one.generated += PROVEN_IDS - 1;
  suspects.progressed(one);
  expect(suspects.alone).toBe(one);
  one.generated += 1;
  suspects.progressed(one);
  expect(suspects.alone).toBe(two);
  suspects.completed(two);
  expect(suspects.alone).toBe(three);
  suspects.forget(three);
  expect([suspects.alone, suspects.size]).toEqual([undefined, 0]);
});

test('a proven sequence is a suspect again after two more losses', () => {
  const { suspects, one } = afterTwo();
  one.generated += PROVEN_IDS;
  suspects.progressed(one);
  suspects.lost([one]);
  expect(suspects.has(one)).toBe(false);
  suspects.lost([one]);
  expect(suspects.has(one)).toBe(true);
});

test('a paused suspect is tested when it continues', () => {
  const { suspects, one, two } = afterTwo();
  one.paused = true;
  expect(suspects.alone).toBe(two);
  two.paused = true;
  expect([suspects.alone, suspects.size]).toEqual([undefined, 2]);
  one.paused = false;
  expect(suspects.alone).toBe(one);
});

test('a culprit explains the losses in which it ran, and the others stay suspects', () => {
  const { suspects, one, two } = afterTwo();
  expect(suspects.convict(one)).toEqual({ losses: 3, isEngineSuspected: false });
  expect([suspects.has(one), suspects.alone]).toEqual([false, two]);
});

test('a second culprit without any success in between makes the engine suspect', () => {
  const { suspects, one, two } = afterTwo();
  suspects.convict(one);
  expect(suspects.convict(two).isEngineSuspected).toBe(true);
});

test.each(['progressed', 'completed'] as const)('a sequence that has %s in between clears the engine', (success) => {
  const { suspects, one, two } = afterTwo();
  const three = fake();
  suspects.lost([three]);
  suspects.lost([three]);
  suspects.convict(one);
  two.generated += PROVEN_IDS;
  suspects[success](two);
  expect(suspects.convict(three).isEngineSuspected).toBe(false);
});
