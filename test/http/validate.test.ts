/** The limits of lists and texts: the last valid value and the first invalid one. */
import { expect, test } from 'vitest';
import { executeChecker } from '../../src/http/validate.ts';

const check = executeChecker({ promptChars: 1000, maxTokens: 2048 });
const fields = (body: object): string[] => {
  const checked = check({ job_id: 'job', ...body });
  return checked.ok ? [] : checked.violations.map(({ field }) => field);
};
const messages = (count: number, content = 'x') => Array.from({ length: count }, () => ({ role: 'user', content }));

test.each([
  ['256 messages', { messages: messages(256) }, { messages: messages(257) }],
  [
    '1000 characters of all messages',
    { messages: messages(10, 'x'.repeat(100)) },
    { messages: messages(11, 'x'.repeat(91)) },
  ],
  ['1000 characters of a prompt', { prompt: '🐸'.repeat(1000) }, { prompt: '🐸'.repeat(1001) }],
])('the maximum is %s', (_, valid, invalid) => {
  expect(fields(valid)).toEqual([]);
  expect(fields(invalid)).toEqual(Object.keys(invalid));
});

test.each([
  ['4 stop strings', 'stop', Array(4).fill('x'), Array(5).fill('x')],
  ['100 characters of a stop string', 'stop', ['🐸'.repeat(100)], ['🐸'.repeat(101)]],
  ['20 log-probabilities', 'logprobs', 20, 21],
  ['one day', 'timeout_ms', 86_400_000, 86_400_001],
  ['the maximum of generated tokens', 'max_tokens', 2048, 2049],
  ['256 characters of an id', 'job_id', '🐸'.repeat(256), '🐸'.repeat(257)],
])('the maximum is %s', (_, field, valid, invalid) => {
  expect(fields({ prompt: 'x', [field]: valid })).toEqual([]);
  const [first = ''] = fields({ prompt: 'x', [field]: invalid });
  expect(first.replace(/[[.].*/, '')).toBe(field);
});

test('the violation of a limit names the field, the value, the maximum and the flag', () => {
  const checked = check({ job_id: 'job', prompt: 'x'.repeat(1001), max_tokens: 4096, min_tokens: 3000 });
  expect(checked.ok ? [] : checked.violations.map(({ message }) => message)).toEqual([
    'prompt must be 1 to 1000 Unicode characters; --max-prompt-chars sets the maximum',
    'max_tokens must be a whole number from 1 to 2048, but is 4096; --max-tokens-cap sets the maximum',
    'min_tokens must be a whole number from 0 to max_tokens, at most 2048, but is 3000; --max-tokens-cap sets the maximum',
  ]);
  const short = check({ job_id: 'job', prompt: '', max_tokens: 0 });
  expect(JSON.stringify(short)).not.toContain('sets the maximum');
});

test.each([
  ['pairs', '🐸', 1000],
  ['halves of pairs', '\ud83d', 1000],
  ['halves in the wrong order', '\udc38\ud83d', 500],
  ['a half before each pair', '\ud83d🐸', 500],
])('code points are counted like a string iterator counts them: %s', (_, unit, times) => {
  const text = unit.repeat(times);
  expect([...text].length).toBeLessThanOrEqual(1000);
  expect(fields({ prompt: text })).toEqual([]);
  expect([...`${text}xx`].length > 1000).toBe(fields({ prompt: `${text}xx` }).length > 0);
});

test('a list of more than 1024 elements is not read and causes one violation', () => {
  const listOf = (length: number): unknown[] =>
    Object.defineProperty(Array(length).fill('x'), 0, {
      get: () => {
        throw new Error('an element was read');
      },
    });
  expect(fields({ prompt: 'x', stop: listOf(1025) })).toEqual(['stop']);
});

test.each([
  ...['a\u0000', 'a\u001b', 'a\u009b', 'a\u2028', 'a\ud800', 'job\u200b', 'a\u202e', 'a\ufeff', 'a\u{e0061}'],
  ...['a\ufffe', 'a\ufdd0', 'a\ue000', 'a\u034f', 'a\ufe0f', 'a\u3164', 'a\u3000b', 'a\u2800b', '👩\u200da'],
])('an id that looks like another one in the log is refused: %j', (job_id) => {
  const checked = check({ job_id, prompt: 'x' });
  const [violation] = checked.ok ? [] : checked.violations;
  expect(violation?.message).toMatch(
    /^job_id must be 1 to 256 characters without control, invisible or private-use characters, but is ".*"$/,
  );
  expect(violation?.message).not.toMatch(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Default_Ignorable_Code_Point}]/u);
});

test.each(['job 1', 'Überschrift', '作業', 'काम', 'وظيفة', '🐸🇩🇪👍🏿', 'a/b?c=d%', 'e\u0301'])(
  'the id %j is valid',
  (job_id) => {
    expect(fields({ job_id, prompt: 'x' })).toEqual([]);
  },
);

test('a repeated value is short and harmless', () => {
  const checked = check({ job_id: 'job', prompt: 'x', on_disconnect: `\u001b]0;x\u0007\u202e${'y'.repeat(100)}` });
  const [violation] = checked.ok ? [] : checked.violations;
  expect(violation?.value).toBe(`]0;x${'y'.repeat(59)}…`);
});
