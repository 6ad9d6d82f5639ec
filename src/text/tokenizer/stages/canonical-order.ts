/**
 * Unicode normalization in linear time. `String.prototype.normalize` (ICU) sorts combining marks by
 * insertion: a run of n marks takes n² steps, which nothing can interrupt (32 000 marks: 1.2 s). This file
 * sorts long runs first, so that ICU finds them in order. The result is exactly that of `normalize`, because
 * the order of marks of different classes has no meaning (Unicode Standard, 3.11, D108 and D109). Pure except
 * for its cache.
 */

type Form = 'NFC' | 'NFD' | 'NFKC' | 'NFKD';

/**
 * Characters in a row that ICU may sort itself. Unicode's stream-safe text format has the same bound (UAX
 * #15, section 13).
 */
export const MAX_UNSORTED_MARKS = 30;

/**
 * Runs of characters whose decomposition can begin with a combining mark: marks, and in the compatibility
 * forms the two halfwidth sound marks of Katakana.
 */
const LONG_RUN = new RegExp(`[\\p{M}\\uFF9E\\uFF9F]{${MAX_UNSORTED_MARKS + 1},}`, 'gu');

/** Marks of the lowest and of the highest combining class, 1 and 240. */
const LOWEST = '\u0334';
const HIGHEST = '\u0345';

/** One mark of each combining class seen so far, sorted by class. The index is not stable: marks are. */
const classes: string[] = [LOWEST, HIGHEST];
/** Mark → the mark in `classes` with the same class, or '' for a character of class 0. */
const representatives = new Map<string, string>();

/** The same as `text.normalize(form)`, in linear time. */
export function normalized(text: string, form: Form): string {
  return inCanonicalOrder(text, form).normalize(form);
}

/**
 * A text with the same normalization, whose long runs of marks are sorted. Texts without a long run are
 * returned unchanged.
 */
export function inCanonicalOrder(text: string, form: Form): string {
  const decomposed = form.startsWith('NFK') ? 'NFKD' : 'NFD';
  return text.replaceAll(LONG_RUN, (run) => sorted(run, decomposed));
}

function sorted(run: string, form: 'NFD' | 'NFKD'): string {
  const parts: string[] = [];
  let groups = new Map<string, string[]>();
  const end = (): void => {
    for (const mark of classes) for (const one of groups.get(mark) ?? []) parts.push(one);
    groups = new Map();
  };
  for (const char of run) {
    for (const mark of char.normalize(form)) {
      const representative = representativeOf(mark);
      if (representative === '') {
        end();
        parts.push(mark);
        continue;
      }
      const group = groups.get(representative);
      if (group) group.push(mark);
      else groups.set(representative, [mark]);
    }
  }
  end();
  return parts.join('');
}

/** Finds the class of a mark: JavaScript shows it only by the order of two marks. */
function representativeOf(mark: string): string {
  const known = representatives.get(mark);
  if (known !== undefined) return known;
  let found = '';
  // A mark of class 0 is never moved: neither the lowest nor the highest class changes places with it.
  if (comesBefore(LOWEST, mark) || comesBefore(mark, HIGHEST) || mark === LOWEST || mark === HIGHEST) {
    let at = classes.findIndex((other) => !comesBefore(other, mark));
    if (at < 0) at = classes.length;
    const other = classes[at];
    if (other === undefined || comesBefore(mark, other)) classes.splice(at, 0, mark);
    found = classes[at] ?? mark;
  }
  representatives.set(mark, found);
  return found;
}

/** True if the class of `first` is lower than that of `second`, and neither is 0. */
function comesBefore(first: string, second: string): boolean {
  return (second + first).normalize('NFD') === first + second && first !== second;
}
