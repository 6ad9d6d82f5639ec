/** The compiler of grammars: event loop, thread, cache, shared compilations, cancellation, deadline and end. */
import { existsSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Json, OutputFormat } from '../../../src/grammar/output-format.ts';
import { unpackProgram } from '../../../src/grammar/packed-program.ts';
import { COMPILE_THREAD_LIMITS } from '../../../src/text/grammar/compile-thread.ts';
import {
  type CompilerOptions,
  GrammarCompiler,
  LOOP_COMPILE_MS,
  LOOP_SOURCE_UNITS,
} from '../../../src/text/grammar/grammar-compiler.ts';
import type { GrammarSource } from '../../../src/text/grammar/source.ts';
import { eventually } from '../../support/eventually.ts';

const builtThread = new URL('../../../dist/text/grammar/grammar-thread.cjs', import.meta.url);
/** A compiler that cannot use a thread: its event loop has any time. */
const LOOP_ONLY: CompilerOptions = {
  threadEntry: new URL('./missing.cjs', builtThread),
  newClock: () => () => 0,
};
const never = new AbortController().signal;

const opened: GrammarCompiler[] = [];
beforeAll(() => {
  if (!existsSync(builtThread)) throw new Error('dist/ is not built. Run npm run build.');
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((compiler) => compiler.close()));
});

function compilerWith(options: CompilerOptions = {}): GrammarCompiler {
  const compiler = new GrammarCompiler({ threadEntry: builtThread, ...options });
  opened.push(compiler);
  return compiler;
}

const sourceOf = (format: OutputFormat): GrammarSource => ({ kind: 'format', format });
const schema = (value: Json): GrammarSource => sourceOf({ kind: 'schema', schema: value });
const object = (name: string, value: Json = { type: 'string' }): GrammarSource =>
  schema({ type: 'object', properties: { [name]: value }, required: [name], additionalProperties: false });
/** A schema whose source is too long for the event loop. */
const large = (name: string): GrammarSource => object(name, { description: 'x'.repeat(LOOP_SOURCE_UNITS) });

/** A compiler whose thread has the given answer to each job, to force faults. `asked` counts the jobs. */
async function faulty(answer: string, options: CompilerOptions = {}): Promise<GrammarCompiler> {
  const file = join(await mkdtemp(join(tmpdir(), 'thread-')), 'thread.mjs');
  await writeFile(
    file,
    `import { parentPort } from 'node:worker_threads';
     let asked = 0;
     parentPort.on('message', ({ source }) => { ${answer} });
     parentPort.postMessage({ type: 'ready' });`,
  );
  return compilerWith({ ...options, threadEntry: pathToFileURL(file) });
}
/** Answers with the number of jobs so far as the number of states. */
const COUNTS =
  "parentPort.postMessage({ type: 'compiled', compiled: { program: '', states: ++asked, withoutEffect: [] } });";

const statesOf = async (compiler: GrammarCompiler, source: GrammarSource, signal = never): Promise<number> =>
  (await compiler.compile(source, signal)).states;

describe('a short source', () => {
  test('needs no thread', async () => {
    const compiler = compilerWith(LOOP_ONLY);
    const { program, states, key, cached } = await compiler.compile(object('a'), never);
    const { nodes, root } = unpackProgram(program);
    expect(nodes[root]).toMatchObject({ kind: 'object', members: [{ name: 'a', required: true }] });
    expect([states > 1, /^[0-9a-f]{64}$/.test(key), cached]).toEqual([true, true, false]);
  });

  test.each<[string, OutputFormat]>([
    ['any object', { kind: 'json_object' }],
    ['a pattern', { kind: 'regex', pattern: '[a-z]{3}' }],
    ['choices', { kind: 'choice', choices: ['yes', 'no'] }],
  ])('can be %s', async (_, format) => {
    const compiler = compilerWith(LOOP_ONLY);
    expect(await statesOf(compiler, sourceOf(format))).toBeGreaterThan(0);
  });

  test('that needs more time than the event loop has is compiled on the thread', async () => {
    let ms = 0;
    const newClock = () => () => {
      ms += LOOP_COMPILE_MS;
      return ms;
    };
    const compiler = await faulty(COUNTS, { newClock });
    expect(await statesOf(compiler, sourceOf({ kind: 'regex', pattern: '[a-z]{999}' }))).toBe(1);
  });

  test.each(['hostname', 'ipv6', 'uri'])(
    'with the format %s, which is slow to build, uses the thread',
    async (format) => {
      const compiler = await faulty(COUNTS);
      expect(await statesOf(compiler, schema({ type: 'string', format }))).toBe(1);
    },
  );

  test('that cannot be compiled is refused without the thread', async () => {
    const compiler = compilerWith(LOOP_ONLY);
    const refusal = compiler.compile(schema({ type: 'object', properties: { a: { type: 'strung' } } }), never);
    await expect(refusal).rejects.toMatchObject({ problem: 'invalid', path: ['properties', 'a', 'type'] });
  });
});

describe('a long source', () => {
  test('has the same grammar on the thread', async () => {
    const compiler = compilerWith({ newClock: () => () => 0 });
    const [short, long] = [object('a', {}), large('a')];
    const [onLoop, onThread] = await Promise.all([compiler.compile(short, never), compiler.compile(long, never)]);
    expect(onThread.program).toBe(onLoop.program);
    expect(onThread.states).toBe(onLoop.states);
  });

  test('can name all formats, also as the first one of a thread', async () => {
    const names = ['uri', 'ipv6', 'date', 'time', 'duration', 'date-time', 'email', 'ipv4', 'uuid', 'hostname'];
    const properties = Object.fromEntries(names.map((format) => [format, { type: 'string', format }]));
    // The formats are built in processor time that no budget counts; this limit is for a busy machine.
    const compiler = compilerWith({ threadLimits: { ...COMPILE_THREAD_LIMITS, jobMs: 60_000 } });
    expect(await statesOf(compiler, schema({ type: 'object', properties }))).toBeGreaterThan(names.length);
  });

  test('gets the errors of the thread', async () => {
    const compiler = compilerWith();
    const wrong = object('a', { description: 'x'.repeat(LOOP_SOURCE_UNITS), type: 'strung' });
    await expect(compiler.compile(wrong, never)).rejects.toMatchObject({
      name: 'GrammarError',
      problem: 'invalid',
      path: ['properties', 'a', 'type'],
    });
  });

  const wide = Object.fromEntries(
    Array.from({ length: 20_000 }, (_, index) => [`property_${index}`, { enum: [index] }]),
  );
  const MEGABYTE = { type: 'object', properties: wide, description: 'x'.repeat(2 ** 19) };
  const deep = (levels: number): Json => (levels === 0 ? {} : { type: 'array', items: deep(levels - 1) });
  test.each<[string, GrammarSource]>([
    ['is a megabyte', schema(MEGABYTE)],
    ['is deep', schema({ anyOf: Array.from({ length: 40 }, () => deep(200)) })],
    [
      'has choices',
      sourceOf({ kind: 'choice', choices: Array.from({ length: 9_000 }, (_, index) => `word ${index}`) }),
    ],
    ['has a pattern that explodes', sourceOf({ kind: 'regex', pattern: `(a|b)*a(a|b){${'0'.repeat(5_000)}19}` })],
  ])('leaves the event loop free if it %s', async (_, source) => {
    const compiler = compilerWith();
    let turns = 0;
    let settled = false;
    const compiling = compiler.compile(source, never).then(
      () => 'compiled',
      ({ name }: Error) => name,
    );
    void compiling.then(() => {
      settled = true;
    });
    while (!settled) {
      await nextTurn();
      turns += 1;
    }
    expect(['compiled', 'GrammarError']).toContain(await compiling);
    // The thread needs some milliseconds at least; a compilation on the event loop takes one turn.
    expect(turns).toBeGreaterThan(20);
  });
});

describe('equal sources', () => {
  test('have one key, and the second one is cached', async () => {
    const compiler = compilerWith(LOOP_ONLY);
    const first = await compiler.compile(object('a'), never);
    const second = await compiler.compile(object('a'), never);
    const other = await compiler.compile(object('b'), never);
    expect([first.cached, second.cached, other.cached]).toEqual([false, true, false]);
    expect([second.key === first.key, other.key === first.key]).toEqual([true, false]);
    expect(second.program).toBe(first.program);
  });

  test('share one compilation', async () => {
    const compiler = await faulty(`setTimeout(() => { ${COUNTS} }, 50);`);
    const all = await Promise.all(
      [large('a'), large('a'), large('b'), large('a')].map((one) => statesOf(compiler, one)),
    );
    expect(all).toEqual([1, 1, 2, 1]);
    expect(await statesOf(compiler, large('a'))).toBe(1);
  });

  test('are compiled again after an error, and when the cache has no room', async () => {
    const weak = await faulty(
      `if (asked++ === 0) parentPort.postMessage({ type: 'failed', message: 'no' }); else ${COUNTS}`,
    );
    await expect(weak.compile(large('a'), never)).rejects.toThrow('could not be compiled: no');
    expect(await statesOf(weak, large('a'))).toBe(3);
    const small = await faulty(COUNTS, { cacheBounds: { count: 1, bytes: 1_000 } });
    const names = ['a', 'b', 'b', 'a'];
    const states: number[] = [];
    for (const name of names) states.push(await statesOf(small, large(name)));
    expect(states).toEqual([1, 2, 2, 3]);
  });
});

describe('a caller that leaves', () => {
  test('gets the reason of its signal; the others get the grammar', async () => {
    const compiler = await faulty(`setTimeout(() => { ${COUNTS} }, 50);`);
    const reader = new AbortController();
    const [left, stays] = [compiler.compile(large('a'), reader.signal), statesOf(compiler, large('a'))];
    reader.abort(new Error('left'));
    await expect(left).rejects.toThrow('left');
    expect(await stays).toBe(1);
    await expect(compiler.compile(large('a'), reader.signal)).rejects.toThrow('left');
  });

  test('and was alone ends a compilation that has not begun', async () => {
    const compiler = await faulty(`setTimeout(() => { ${COUNTS} }, 50);`);
    const first = statesOf(compiler, large('a'));
    const reader = new AbortController();
    const waiting = compiler.compile(large('b'), reader.signal);
    reader.abort(new Error('left'));
    await expect(waiting).rejects.toThrow('left');
    // The second job of the thread is the third source.
    expect([await first, await statesOf(compiler, large('c'))]).toEqual([1, 2]);
  });
});

describe('the thread', () => {
  test('is replaced when a source takes too long, which is too complex; the next ones get a new thread', async () => {
    const reasons: string[] = [];
    const compiler = await faulty(`if (source.includes('slow')) for (;;); ${COUNTS}`, {
      threadLimits: { ...COMPILE_THREAD_LIMITS, jobMs: 300 },
      onThreadReplaced: (reason) => reasons.push(reason),
    });
    const [slow, next] = await Promise.allSettled([
      compiler.compile(large('slow'), never),
      statesOf(compiler, large('a')),
    ]);
    const message = 'needs more than 300 ms to compile; use a smaller one';
    expect(slow).toMatchObject({ reason: { name: 'GrammarError', problem: 'too_complex', path: [], message } });
    expect(next).toEqual({ status: 'fulfilled', value: 1 });
    expect(reasons).toEqual([message]);
  });

  test('is replaced when a source takes too much memory', async () => {
    const compiler = await faulty(
      `if (source.includes('greedy')) for (const all = [];;) all.push(Array.from({ length: 1000 }, String)); ${COUNTS}`,
      { threadLimits: { ...COMPILE_THREAD_LIMITS, jobMs: 60_000, heapMb: 32 } },
    );
    await expect(compiler.compile(large('greedy'), never)).rejects.toMatchObject({ problem: 'too_complex' });
    expect(await statesOf(compiler, large('a'))).toBe(1);
  });

  test('ends after a time without a job, and starts again', async () => {
    const compiler = await faulty(COUNTS, { threadLimits: { ...COMPILE_THREAD_LIMITS, idleMs: 1 } });
    let number = 0;
    const compileNext = (): Promise<number> => {
      number += 1;
      return statesOf(compiler, large(String(number)));
    };
    expect(await compileNext()).toBe(1);
    await eventually(async () => {
      await nextTurn();
      expect(await compileNext()).toBe(1);
    });
  });

  test('that is lost rejects its source only', async () => {
    const compiler = await faulty(`if (source.includes('die')) process.exit(3); ${COUNTS}`);
    const [lost, next] = await Promise.allSettled([
      compiler.compile(large('die'), never),
      statesOf(compiler, large('a')),
    ]);
    expect(lost).toMatchObject({ reason: { message: 'The grammar compiler thread was lost.' } });
    expect(next).toEqual({ status: 'fulfilled', value: 1 });
  });

  test('that is closed rejects its sources, and takes no others', async () => {
    const compiler = await faulty('');
    const refused = expect(compiler.compile(large('a'), never)).rejects.toThrow('The grammar compiler is closed.');
    await nextTurn();
    await compiler.close();
    await refused;
    await expect(compiler.compile(large('b'), never)).rejects.toThrow('The grammar compiler is closed.');
  });
});
