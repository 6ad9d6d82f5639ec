/** Text of a hub and of a model never reaches the terminal raw: `pull`, `doctor`, `ask`, and the 400. */
import { cp, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { embeddedModel } from '../../../src/model/folder.ts';
import { onnxBytes } from '../../onnx/onnx-bytes.ts';
import { type Run, runCli } from '../../support/cli.ts';
import { LARGE, Puller, text, WEIGHTS_FILE, WORDS } from '../../support/hub-models.ts';
import { HubServer } from '../../support/hub-server.ts';
import { startWorker } from '../../support/worker.ts';

/** A title, a cleared screen, a color, and C1, direction, tag and variation characters. */
const EVIL = '\u001b]0;pwned\u0007\u001b[2J\u001b[31mAll good\u009b31m\u202e\u{e0061}\ufe0f\u034f';
const RAW = /[^\P{Cc}\n]|[\p{Cf}\p{Co}\p{Default_Ignorable_Code_Point}\u2028\u2029]/u;

let hub: HubServer;
beforeAll(async () => {
  hub = await HubServer.start({});
});
afterAll(() => hub.close());

/** No style is expected: the output of the test is no terminal. */
function expectClean({ stdout, stderr }: Pick<Run, 'stdout' | 'stderr'>): void {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the view of `ask` may style its labels.
  for (const one of [stdout, stderr]) expect(one.replace(/\x1b\[\d{1,2}m/g, '')).not.toMatch(RAW);
}

/** A folder with the embedded model and one changed file. */
async function modelWith(file: string, content: string | Uint8Array): Promise<string> {
  const folder = join(await mkdtemp(join(tmpdir(), 'hostile-')), 'model');
  await cp(embeddedModel(), folder, { recursive: true });
  await writeFile(join(folder, file), content);
  return folder;
}

const hostileGraph = onnxBytes({ tensors: [{ dimensions: [4], external: { location: EVIL } }] });

test('pull: a name of external data in the graph', async () => {
  hub.put('org/graph', { files: { ...WORDS, [WEIGHTS_FILE]: { bytes: hostileGraph, lfs: true } } });
  const run = await (await Puller.at(hub)).pull(['org/graph']);
  expect(run).toMatchObject({ code: 1, stderr: expect.stringContaining('All good') });
  expectClean(run);
});

test('pull: names of files, and the headers of an answer', async () => {
  hub.put('org/names', { files: { ...LARGE, [`${EVIL}.json`]: text('{}') } });
  hub.fail(
    WEIGHTS_FILE,
    { status: 416, headers: { 'content-range': 'bytes \u009b31m\u0090/9' } },
    { status: 302, headers: { location: 'http://\u009b31m/' } },
    { status: 500, headers: { 'x-error-message': '\u009b31m', 'x-error-code': '\u009b2J' } },
  );
  const run = await (await Puller.at(hub)).pull(['org/names']);
  expect(run.stderr).toContain('Pulling org/names');
  expectClean(run);
  hub.answer({
    status: 403,
    headers: { 'x-error-message': '\u009b31mno\u009b0m' },
    body: JSON.stringify({ error: EVIL }),
  });
  const refused = await (await Puller.at(hub)).pull(['org/names']);
  expect(refused.code).toBe(1);
  expectClean(refused);
});

test('doctor: a name of external data, in the page and in JSON', async () => {
  const folder = await modelWith('onnx/model.onnx', hostileGraph);
  for (const flags of [[], ['--json']]) {
    const run = await runCli(['doctor', '--model', folder, '--device', 'cpu', ...flags]);
    expect(run).toMatchObject({ code: 1, stdout: expect.stringContaining('All good') });
    expectClean(run);
  }
}, 60_000);

test('ask: the refusal of a chat template, and a setting', async () => {
  const folder = await modelWith('chat_template.jinja', `{{ raise_exception('${EVIL}') }}`);
  const run = await runCli(['ask', 'hi', '--', '--model', folder, '--device', 'cpu']);
  expect(run).toMatchObject({ code: 1, stderr: expect.stringContaining('message of a user: ]0;pwned[2J') });
  expectClean(run);
  const wrong = await runCli(['ask', 'hi', '--', '--device', EVIL]);
  expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('All good') });
  expectClean(wrong);
});

test('a command that does not exist', async () => {
  const run = await runCli([EVIL]);
  expect(run).toMatchObject({ code: 2, stderr: expect.stringContaining('All good') });
  expectClean(run);
});

test('the 400 of a chat template is harmless', async () => {
  const folder = await modelWith('chat_template.jinja', `{{ raise_exception('${EVIL}') }}`);
  const worker = await startWorker({ args: ['--model', folder] });
  const answer = await worker.post('/execute', { job_id: 'harmless', prompt: 'hi' });
  const body = JSON.stringify(await answer.json());
  expect([answer.status, body]).toEqual([400, expect.stringContaining('All good31m')]);
  expect(body).not.toMatch(/\\u00(?:0[0-9a-f]|1[0-9a-f]|7f|8|9)|\\u0(?:01b|09b)/);
  expect(JSON.stringify(JSON.parse(body))).not.toMatch(RAW);
  await worker.stop();
});
