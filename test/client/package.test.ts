/** The client as a part of the npm package: for bundlers, for TypeScript, and as one module for browsers. */
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { makeProject } from '../support/client/project.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const DIST = join(ROOT, 'dist');
const TSC = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
/** Most bytes of the module for browsers. It has 18 kB. */
const BROWSER_BYTES = 20_000;

/** A user of the client who uses each kind of name that it exports. */
const USER = `
import { ConnectionError, DivergedError, JobError, RefusedError, Run, WorkerClient, readEvents } from 'rbees-workerd/client';
import type { ChatMessage, Continuation, EndEvent, Health, JobRequest, NarrationEvent, StreamEvent, ToolCall } from 'rbees-workerd/client';
import { WorkerClient as Browser } from 'rbees-workerd/client/browser';

const client: WorkerClient = new WorkerClient({ url: 'http://127.0.0.1:8080', apiToken: undefined });
const request: JobRequest = { prompt: 'The sea', max_tokens: 20, stop: ['.'] };
const messages: ChatMessage[] = [{ role: 'user', content: 'Hello' }];

export async function use(): Promise<string> {
  const run = client.execute(request, { acceptWithinMs: 1000, signal: AbortSignal.timeout(1000) });
  for await (const event of run) {
    if (event.type === 'token') show(event.t, event.i);
    if (event.type === 'narration') story(event);
    if (event.type === 'error') throw new Error(event.code);
  }
  const continuation: Continuation | undefined = run.continuation;
  if (continuation) await client.execute({ ...request, ids: true }, { continuation }).text();
  const calls: readonly ToolCall[] = await client.chat(messages, { tools: [] }).toolCalls();
  const health: Health = await client.health();
  const end: EndEvent = await client.attach(run.jobId, { after: run.lastEventId }).end();
  for await (const { data } of readEvents(await fetch('/'))) last(data);
  if (!(run instanceof Run)) throw new Error('no run');
  return [await run.text(), calls.length, health.status, end.tokens_out, new Browser({ url: '' })].join();
}

function story({ human, queue_position: place, event }: NarrationEvent): void {
  if (event === 'request.queued') show(human, place ?? 0);
}
function show(text: string, index: number): void {
  void [text, index];
}
function last(event: StreamEvent): void {
  void event;
}
export function reason(error: unknown): string | number | undefined {
  if (error instanceof RefusedError) return error.retryAfterMs ?? error.violations[0]?.field;
  if (error instanceof ConnectionError) return error.lastEventId ?? error.continuation?.index;
  if (error instanceof JobError) return error.text + error.continuation?.output[0]?.t;
  if (error instanceof DivergedError) return error.retry;
  return undefined;
}

// @ts-expect-error the type of a field
client.execute({ prompt: 5 });
// @ts-expect-error the name of a field
client.execute({ prompt: 'x', max_token: 5 });
`;

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

function project(files: Readonly<Record<string, string>>): string {
  const folder = makeProject(files);
  folders.push(folder);
  return folder;
}

/** The modules that a module of dist/ imports, and theirs; packages by their names. */
function importsOf(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  for (const [, source = ''] of readFileSync(file, 'utf8').matchAll(/\bfrom '([^']+)'|\bimport\('([^']+)'\)/g))
    if (source.startsWith('.')) importsOf(resolve(dirname(file), source), seen);
    else seen.add(source);
  return seen;
}

describe('the types', () => {
  test.each([
    ['nodenext', ['es2023', 'dom']],
    ['bundler', ['es2022', 'dom', 'dom.iterable']],
  ])('compile in a strict project that checks libraries too: %s', (resolution, lib) => {
    const compilerOptions = {
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      noPropertyAccessFromIndexSignature: true,
      verbatimModuleSyntax: true,
      skipLibCheck: false,
      noEmit: true,
      target: 'es2022',
      module: resolution === 'bundler' ? 'esnext' : 'nodenext',
      moduleResolution: resolution,
      lib,
      // A page has no types of Node.js.
      types: [],
    };
    const folder = project({
      'use.ts': USER,
      'package.json': '{"type":"module"}',
      'tsconfig.json': JSON.stringify({ compilerOptions, files: ['use.ts'] }),
    });
    const { status, stdout } = spawnSync(process.execPath, [TSC, '-p', folder], { encoding: 'utf8' });
    expect(stdout).toBe('');
    expect(status).toBe(0);
  });
});

describe('the module', () => {
  test('imports eventsource-parser, and no other package: no zod and no module of Node.js', () => {
    const imports = [...importsOf(join(DIST, 'client', 'client.js'))];
    expect(imports.filter((name) => !name.startsWith(DIST))).toEqual(['eventsource-parser']);
    const own = imports.filter((name) => name.startsWith(DIST)).map((name) => relative(DIST, name));
    expect(own.filter((name) => !name.startsWith('client'))).toEqual([join('contract', 'event-ids.js')]);
  });

  test('is found by its name, also from inside of the package', () => {
    const folder = project({ 'package.json': '{"type":"module"}' });
    for (const at of [folder, join(ROOT, 'examples')]) {
      const names = importNames(at, 'rbees-workerd/client');
      expect(names).toEqual(importNames(at, 'rbees-workerd/client/browser'));
      expect(names).toEqual(
        expect.arrayContaining(['ConnectionError', 'JobError', 'RefusedError', 'Run', 'WorkerClient']),
      );
    }
  });

  test('for browsers is small and imports nothing', () => {
    const text = readFileSync(join(DIST, 'client', 'browser.js'), 'utf8');
    expect(text.length).toBeLessThan(BROWSER_BYTES);
    expect(text).not.toMatch(/\bimport\b|\brequire\(|\bprocess\.|\bBuffer\b|node:/);
  });
});

/** The names that a module exports, as a script in a folder sees them. */
function importNames(folder: string, source: string): string[] {
  const script = `import * as all from '${source}'; process.stdout.write(JSON.stringify(Object.keys(all)));`;
  const args = ['--input-type=module', '--eval', script];
  const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
  expect(stderr).toBe('');
  return JSON.parse(stdout) as string[];
}
