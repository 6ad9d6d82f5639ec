/** The law of the house that a linter cannot say: who may import whom, and how long a file may be. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const SRC = fileURLToPath(new URL('../src', import.meta.url));

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => ({ name, text: readFileSync(join(SRC, name), 'utf8') }));

/** Floors of the worker process, top first: a file imports from its own floor or from one below. */
const FLOORS: readonly (readonly RegExp[])[] = [
  [/^cli\.ts$/],
  [/^(ask|pull|doctor|report|fixes|smoke-test|terminal-view|progress-bar)\.ts$/, /^worker\.ts$/],
  [/^http\//],
  [/^lifecycle\//, /^model\//, /^bridge\/(client|child|sequence-inbox|heartbeat|turns)\.ts$/],
  [/^text\//, /^narration\//, /^telemetry\//],
  [/^(config|settings|paths)\.ts$/, /^errors\.ts$/, /^bridge\/(protocol|loading|probe)\.ts$/],
];
const floorOf = (name: string): number => FLOORS.findIndex((floor) => floor.some((pattern) => pattern.test(name)));
/** What both processes import. */
const VOCABULARY = ['bridge/protocol.ts', 'bridge/loading.ts', 'bridge/probe.ts'];
const isEngine = (name: string): boolean => name.startsWith('engine/') || name === 'bridge/process.ts';

function importsOf(file: { name: string; text: string }): string[] {
  const found = file.text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g);
  return [...found].map((match) => relative(SRC, resolve(SRC, dirname(file.name), match[1] ?? '')));
}
const arrows = files.flatMap((file) => importsOf(file).map((to) => ({ from: file.name, to })));

describe('the law of imports', () => {
  test('every file belongs to a floor of the worker or to the engine', () => {
    expect(files.map((file) => file.name).filter((name) => floorOf(name) < 0 && !isEngine(name))).toEqual([]);
  });

  test('in the worker process imports go down, never up', () => {
    const up = arrows.filter(({ from, to }) => !isEngine(from) && !isEngine(to) && floorOf(to) < floorOf(from));
    expect(up).toEqual([]);
  });

  test('the worker does not import the engine, and the engine imports nothing but itself and the protocol', () => {
    const across = arrows.filter(({ from, to }) => isEngine(from) !== isEngine(to) && !VOCABULARY.includes(to));
    expect(across).toEqual([]);
    expect(arrows.filter(({ from, to }) => from.startsWith('engine/') && to === 'bridge/process.ts')).toEqual([]);
  });

  test('the vocabulary of the bridge and the table of errors import nothing else', () => {
    const out = arrows.filter(({ from }) => [...VOCABULARY, 'errors.ts'].includes(from));
    expect(out.filter(({ to }) => !VOCABULARY.includes(to))).toEqual([]);
  });

  test('every relative import names a file that exists', () => {
    const names = new Set(files.map((file) => file.name));
    expect(arrows.filter(({ to }) => !names.has(to))).toEqual([]);
  });
});

describe('the shape of files', () => {
  test('no file has more than 250 lines', () => {
    const long = files
      // The catalogue is a table, and the contract wants every sentence in one file.
      .filter(({ name }) => name !== 'narration/catalogue.ts')
      .map(({ name, text }) => ({ name, lines: text.trimEnd().split('\n').length }))
      .filter(({ lines }) => lines > 250);
    expect(long).toEqual([]);
  });

  test('every file opens by saying what it is for', () => {
    const mute = files.filter(({ text }) => !/^(#!.*\n)?\/\*\*/.test(text)).map(({ name }) => name);
    expect(mute).toEqual([]);
  });

  test('only the command line ends the process or reads its arguments, and the engine process only itself', () => {
    const users = files.filter(({ text }) => /process\.(exit\(|argv)/.test(text)).map(({ name }) => name);
    expect(users.sort()).toEqual(['bridge/process.ts', 'cli.ts']);
  });

  test('no module of the worker keeps state of its own but the voice', () => {
    const owners = files.filter(({ text }) => /^(?:export )?let /m.test(text)).map(({ name }) => name);
    expect(owners.sort()).toEqual(['bridge/process.ts', 'narration/narrate.ts']);
  });
});
