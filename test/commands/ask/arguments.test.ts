/** The command line of `ask`: every field of a request is a flag, and a wrong value names flag, value and rule. */
import { describe, expect, test } from 'vitest';
import { readAskArguments } from '../../../src/commands/ask/arguments/ask-arguments.ts';
import { requestFlags } from '../../../src/commands/ask/arguments/request-flags.ts';
import { executeFields } from '../../../src/contract/execute.ts';
import { SAMPLING } from '../../../src/protocol/sampling.ts';

/** The problem of a command line. */
function problemOf(...args: string[]): string {
  try {
    readAskArguments(args);
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error(`${args.join(' ')} is accepted.`);
}

test('every field of POST /execute besides the messages is a flag', () => {
  const fields = Object.keys(executeFields()).filter((field) => field !== 'messages');
  expect(requestFlags().map(({ field }) => field)).toEqual(fields);
});

test('every sampling parameter takes its limits', () => {
  for (const { field, range } of Object.values(SAMPLING)) {
    const flag = `--${field.replaceAll('_', '-')}`;
    const most = 'max' in range ? range.max : 5;
    expect(readAskArguments(['Hello', `${flag}=${most}`]).request).toEqual({ [field]: most });
    expect(problemOf('Hello', `${flag}=hot`)).toMatch(new RegExp(`^${flag} must be a .*number .*, but is "hot"$`));
    expect(problemOf('Hello', `${flag}=-3`)).toMatch(new RegExp(`^${flag} must be a .*number .*, but is -3$`));
  }
});

test('values become those of the request', () => {
  const { question, request } = readAskArguments([
    'Hello',
    '--stop=a',
    '--stop=b',
    '--max-tokens=7',
    '--no-parts',
    '--ignore-eos',
    '--schema={"type":"string"}',
    '--tool-choice=auto',
    '--logit-bias={"5": -100}',
    '--no-think',
  ]);
  expect(question).toBe('Hello');
  expect(request).toEqual({
    stop: ['a', 'b'],
    max_tokens: 7,
    parts: false,
    ignore_eos: true,
    schema: { type: 'string' },
    tool_choice: 'auto',
    logit_bias: { 5: -100 },
    enable_thinking: false,
  });
});

test('the settings after -- are those of the worker', () => {
  const { question, workerSettings } = readAskArguments(['Hello', '--', '--model', 'x', '--', 'y']);
  expect([question, workerSettings]).toEqual(['Hello', ['--model', 'x', '--', 'y']]);
  expect(readAskArguments(['Hello']).workerSettings).toBeUndefined();
});

describe('a problem says what to do', () => {
  test.each([
    [['Hello', '--slots', '4'], 'Put such settings after --, as in: ask "Hello" -- --slots …'],
    [['Hello', '--temprature', '1'], 'Did you mean --temperature?'],
    [['-5 plus 3'], 'ask --prompt='],
    [['Hello', 'again'], 'put the question in quotes'],
    [['Hello', '--schema', 'no-such-file.json'], '--schema: "no-such-file.json" cannot be read'],
    [['Hello', '--schema', '{"type":'], 'is not JSON'],
    [['Hello', '--schema', '{}', '--regex', 'a'], '--schema and --regex must not be used together'],
    [['Hello', '--raw', '--system', 'Be kind'], '--raw and --system must not be used together'],
    [['Hello', '--json', '--chat'], '--json and --chat must not be used together'],
    [['Hello', '--quiet', '--story'], '--quiet and --story must not be used together'],
    [[''], 'a question that is not empty'],
    [['Hello', '--seed'], '--seed'],
  ])('%j', (args, remedy) => {
    expect(problemOf(...args)).toContain(remedy);
  });
});

test('all problems are reported together', () => {
  expect(problemOf('Hello', '--temperature=9', '--max-tokens=0').split('\n')).toEqual([
    expect.stringContaining('--max-tokens'),
    expect.stringContaining('--temperature'),
  ]);
});
