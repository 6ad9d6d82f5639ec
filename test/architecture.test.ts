/** The architecture rules that a linter cannot express: import directions, cycles, sizes of folders and files, widths of lines. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const SRC = join(ROOT, 'src');

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => ({ name, text: readFileSync(join(SRC, name), 'utf8') }));

const folderOf = (name: string): string => name.split('/')[0] ?? '';

/** Floors of the worker process, top first: a file imports from its own folder or from a floor below. */
const FLOORS: readonly (readonly string[])[] = [
  ['cli.ts'],
  ['commands'],
  ['http'],
  ['jobs'],
  ['lifecycle'],
  ['model', 'text', 'bridge'],
  ['contract'],
  ['narration', 'telemetry', 'config'],
];
/** What each folder outside of the floors may import besides itself. */
const OTHERS: Readonly<Record<string, readonly string[]>> = {
  client: ['contract'],
  page: ['client', 'contract'],
  engine: ['protocol', 'onnx', 'graph-builder', 'grammar'],
  'graph-builder': ['protocol', 'onnx'],
  grammar: [],
  onnx: [],
  protocol: ['grammar'],
};
/** Folders that both processes import. They import nothing, so every floor may import them: the settings read the table of devices. */
const SHARED: readonly string[] = ['protocol', 'onnx', 'grammar'];

const floorOf = (name: string): number => FLOORS.findIndex((floor) => floor.includes(folderOf(name)));

function isAllowed(from: string, to: string): boolean {
  const [source, target] = [folderOf(from), folderOf(to)];
  if (source === target) return true;
  // The table of sampling parameters is plain data: names and ranges of the form are not written twice.
  if (source === 'page' && to === 'protocol/sampling.ts') return true;
  const others = OTHERS[source];
  if (others) return others.includes(target);
  if (SHARED.includes(target)) return true;
  // The client is for whoever calls a worker: a command may.
  if (target === 'client') return source === 'commands';
  return floorOf(to) > floorOf(from);
}

function importsOf({ name, text }: { name: string; text: string }): string[] {
  const found = text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g);
  return [...found].map((match) => relative(SRC, resolve(SRC, dirname(name), match[1] ?? '')));
}
const imports = new Map(files.map((file) => [file.name, importsOf(file)]));
const arrows = [...imports].flatMap(([from, targets]) => targets.map((to) => ({ from, to })));

describe('imports', () => {
  test('every file is in a known folder, and only cli.ts lies in src itself', () => {
    const unknown = files.filter(({ name }) => floorOf(name) < 0 && !(folderOf(name) in OTHERS));
    expect(unknown.map(({ name }) => name)).toEqual([]);
  });

  test('follow the direction of the folders', () => {
    expect(arrows.filter(({ from, to }) => !isAllowed(from, to))).toEqual([]);
  });

  test('inside the engine, only its own entry imports nothing that the worker runs', () => {
    expect(arrows.filter(({ to }) => to === 'engine/process.ts')).toEqual([]);
  });

  test('name files that exist', () => {
    expect(arrows.filter(({ to }) => !imports.has(to))).toEqual([]);
  });

  test('have no cycle, of values or of types', () => {
    expect(firstCycle()).toBeUndefined();
  });
});

/** The files of one cycle of imports, or undefined. Depth-first search. */
function firstCycle(): string[] | undefined {
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (name: string): string[] | undefined => {
    if (done.has(name)) return undefined;
    if (path.includes(name)) return [...path.slice(path.indexOf(name)), name];
    path.push(name);
    for (const target of imports.get(name) ?? []) {
      const cycle = visit(target);
      if (cycle) return cycle;
    }
    path.pop();
    done.add(name);
    return undefined;
  };
  for (const { name } of files) {
    const cycle = visit(name);
    if (cycle) return cycle;
  }
  return undefined;
}

const isComment = (line: string): boolean => /^\s*(?:\/\/|\/\*|\*)/.test(line);
const codeLines = (text: string): number =>
  text.split('\n').filter((line) => line.trim() !== '' && !isComment(line)).length;

/** Readers of server-sent events that stay: they are the readers of other programs, which must understand a worker. */
const FOREIGN_READERS = ['test/e2e/clients/vllm-bench.test.ts', 'test/e2e/streams/runs.test.ts'];
/** Text that takes data out of a stream by hand, or a reader of the platform. */
const BY_HAND = [/(?:startsWith|slice|replace|indexOf|split)\([`'"/^]*data:/, /[/^n]data: ?\(/, /\bnew EventSource\(/];
/** Two forms that together divide the bytes of a stream into lines or messages. */
const DECODES = /\bTextDecoder|getReader\(/;
const DIVIDES = /\bsplit\(['"`/]\\n\\n/;
const readsByHand = (text: string): boolean =>
  BY_HAND.some((form) => form.test(text)) || (DECODES.test(text) && DIVIDES.test(text));

describe('server-sent events', () => {
  test('are read by client/sse.ts only, in tests, benches, scripts and examples too', () => {
    const folders = ['src', 'test', 'bench', 'scripts', 'examples', 'docs'];
    const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', ...folders], {
      cwd: ROOT,
      encoding: 'utf8',
    });
    const names = listed.trim().split('\n');
    const code = names.filter((name) => /\.(?:[cm]?[jt]s|html|md)$/.test(name) && existsSync(join(ROOT, name)));
    expect(code.length).toBeGreaterThan(400);
    const readers = code.filter((name) => readsByHand(readFileSync(join(ROOT, name), 'utf8')));
    expect(readers.filter((name) => name !== 'test/architecture.test.ts').sort()).toEqual(FOREIGN_READERS);
  });
});

describe('the terminal', () => {
  test('is written by the terminal of the commands and by standard output only', () => {
    const writers = files.filter(({ text }) => /process\.std(?:out|err)\b|\bstd(?:out|err) *\} *= *process/.test(text));
    expect(writers.map(({ name }) => name).sort()).toEqual(['commands/terminal.ts', 'narration/stdout.ts']);
  });
});

describe('sizes', () => {
  test('a folder has at most 12 files', () => {
    const counts = new Map<string, number>();
    for (const { name } of files) counts.set(dirname(name), (counts.get(dirname(name)) ?? 0) + 1);
    expect([...counts].filter(([, count]) => count > 12)).toEqual([]);
  });

  test('a file has at most 220 lines of code', () => {
    const long = files.map(({ name, text }) => ({ name, lines: codeLines(text) }));
    expect(long.filter(({ lines }) => lines > 220)).toEqual([]);
  });

  test('a comment has at most 110 columns', () => {
    const wide = files.flatMap(({ name, text }) =>
      text.split('\n').flatMap((line, index) => (isComment(line) && line.length > 110 ? [`${name}:${index + 1}`] : [])),
    );
    expect(wide).toEqual([]);
  });

  test('a line of Markdown has at most 120 columns, except in tables', () => {
    const names = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'], {
      cwd: ROOT,
      encoding: 'utf8',
    });
    const wide = names
      .trim()
      .split('\n')
      .flatMap((name) =>
        readFileSync(join(ROOT, name), 'utf8')
          .split('\n')
          .flatMap((line, index) => (line.length > 120 && !line.startsWith('|') ? [`${name}:${index + 1}`] : [])),
      );
    expect(wide).toEqual([]);
  });
});

describe('habits', () => {
  test('every file opens with its purpose', () => {
    const mute = files.filter(({ text }) => !/^(#!.*\n)?\/\*\*/.test(text)).map(({ name }) => name);
    expect(mute).toEqual([]);
  });

  test('only cli.ts reads process.argv or ends the worker, and only engine/process.ts ends the engine', () => {
    const users = files.filter(({ text }) => /process\.(exit\(|argv)/.test(text)).map(({ name }) => name);
    expect(users.sort()).toEqual(['cli.ts', 'engine/process.ts']);
  });

  test('only narration and the engine process keep state in a module', () => {
    const owners = files.filter(({ text }) => /^(?:export )?let /m.test(text)).map(({ name }) => name);
    expect(owners.sort()).toEqual(['engine/process.ts', 'narration/narrate.ts']);
  });
});
