/** A hub's answers about a repository, over real HTTP: pages, refusals, redirects, and malformed answers. */
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Connection, RETRY_POLICY } from '../../../src/model/hub/connection.ts';
import { type HubReference, parseReference } from '../../../src/model/hub/reference.ts';
import { fileUrl, readRepository } from '../../../src/model/hub/repository.ts';
import { noise } from '../../support/hub-models.ts';
import { COMMIT, drip, gitSha1, type HubFile, HubServer, sendZeros, sha256 } from '../../support/hub-server.ts';
import { reasonOf } from '../folders.ts';

const TOKEN = 'hf_never-to-be-seen';
const bytes = noise(100);
const file: HubFile = { bytes };
const files = Object.fromEntries(['config.json', 'a', 'b', 'c', 'd', 'e', 'onnx/f'].map((path) => [path, file]));
const quick = { ...RETRY_POLICY, backoffMs: 1, stallMs: 1500, tries: 3 };

let hub: HubServer;
beforeAll(async () => {
  const other = '0123456789abcdef0123456789abcdef01234567';
  hub = await HubServer.start({
    'org/open': {
      files: { ...files, 'onnx/g.onnx': { bytes, lfs: true } },
      refs: { 'v1.0': other, 'refs/pr/1': other },
    },
    'org/gated': { files, token: TOKEN },
    'org/forbidden': { files, token: TOKEN, refusal: { status: 403, code: 'GatedRepo' } },
    'org/private': { files, token: TOKEN, refusal: { status: 404, code: 'RepoNotFound' } },
  });
});
afterAll(() => hub.close());
beforeEach(() => {
  hub.seen.length = 0;
});

function referenceTo(name: string): HubReference {
  const reference = parseReference(name);
  if (reference === undefined) throw new Error(name);
  return reference;
}

const read = (name: string, token?: string, endpoint = hub.url, patience = quick) =>
  readRepository(new Connection({ endpoint, token }, referenceTo(name), undefined, patience), referenceTo(name));

/** The message of a refused repository. */
const refusal = async (name: string, token?: string, endpoint = hub.url): Promise<string> =>
  String(await reasonOf(read(name, token, endpoint)));

describe('a repository', () => {
  test('is read page by page: its commit, and every file with size and checksum', async () => {
    const { commit, files: found } = await read('org/open');
    expect(commit).toBe(COMMIT);
    expect(found.map(({ path }) => path)).toEqual([...Object.keys(files), 'onnx/g.onnx']);
    expect(found.at(0)).toEqual({ path: 'config.json', size: 100, etag: gitSha1(bytes), hash: 'git-sha1' });
    expect(found.at(-1)).toEqual({ path: 'onnx/g.onnx', size: 100, etag: sha256(bytes), hash: 'sha256' });
    expect(hub.seen.filter(({ path }) => path.includes('/tree/'))).toHaveLength(3);
  });

  test.each(['org/open@v1.0', 'org/open@refs/pr/1', 'org/open@0123456789abcdef0123456789abcdef01234567'])(
    'is found by a tag, a ref or a commit: %s',
    async (name) => {
      expect((await read(name)).commit).toBe('0123456789abcdef0123456789abcdef01234567');
    },
  );

  test('has download URLs that contain the commit', async () => {
    const url = fileUrl(`${hub.url}/mirror`, await read('org/open'), 'onnx/g.onnx');
    expect(url.href).toBe(`${hub.url}/mirror/org/open/resolve/${COMMIT}/onnx/g.onnx`);
  });

  test('is requested with the token, on every page', async () => {
    await read('org/gated', TOKEN);
    expect(new Set(hub.seen.map(({ authorization }) => authorization))).toEqual(new Set([`Bearer ${TOKEN}`]));
  });

  test('is requested again after a server error, a limited number of times', async () => {
    const [busy, down] = [
      { status: 429, headers: { 'retry-after': '0' }, body: '' },
      { status: 503, body: 'down' },
    ];
    hub.answer(busy, down);
    expect((await read('org/open')).commit).toBe(COMMIT);
    hub.answer(down, down, down);
    expect(await refusal('org/open')).toMatch(/the list of files could not be downloaded: .* answers 503 \(3 tries\)/);
  });
});

describe('a refusal says what to do and never shows the token', () => {
  test.each([
    ['org/nothing', undefined, /org\/nothing does not exist or is private \(401\): check the name .*set HF_TOKEN/],
    ['org/nothing', TOKEN, /org\/nothing does not exist or is private \(401\).*HF_TOKEN has no read access/],
    ['org/gated', undefined, /org\/gated is gated \(401\): request access at http.*\/org\/gated; set HF_TOKEN/],
    ['org/forbidden', 'hf_another', /org\/forbidden is gated \(403\): request access at .*HF_TOKEN has no read access/],
    ['org/private', undefined, /org\/private does not exist or is private \(404\)/],
    ['org/open@v9', undefined, /org\/open has no revision v9 \(404\)/],
  ])('%s with token %s', async (name, token, reason) => {
    const message = await refusal(name, token);
    expect(message).toMatch(reason);
    expect(message).not.toContain(TOKEN);
    expect(message).not.toContain('hf_another');
  });

  test('an unreachable hub is named, with the cause', async () => {
    const gone = await HubServer.start({});
    const closed = gone.url;
    await gone.close();
    expect(await refusal('org/open', undefined, closed)).toMatch(
      /127\.0\.0\.1:\d+ cannot be reached \(ECONNREFUSED\): check the network and HF_ENDPOINT/,
    );
  });
});

describe('a malformed answer is refused', () => {
  const tree = (entries: unknown, headers = {}) => [
    { status: 200, body: JSON.stringify({ sha: COMMIT, id: 'org/open' }) },
    { status: 200, body: JSON.stringify(entries), headers },
  ];
  const entry = { type: 'file', path: 'config.json', size: 1, oid: COMMIT };

  test.each([
    ['that is an HTML page', [{ status: 200, body: '<html>log in</html>' }], /does not answer like the hub/],
    ['without a commit', [{ status: 200, body: '{"sha":"../../x"}' }], /malformed answer/],
    ['without a list', tree({ error: 'x' }), /malformed answer/],
    ['with a negative size', tree([{ ...entry, size: -1 }]), /malformed answer.*size/],
    ['with a path as a checksum', tree([{ ...entry, oid: '../../../evil' }]), /malformed answer.*oid/],
    ['with a path as an LFS checksum', tree([{ ...entry, lfs: { oid: '/etc/x', size: 1 } }]), /malformed answer.*lfs/],
    [
      'that continues at another host',
      tree([entry], { link: '<http://127.0.0.2:1/x>; rel="next"' }),
      /refers to http:\/\/127\.0\.0\.2:1/,
    ],
    ['that is endless', [{ status: 200, body: `"${'x'.repeat(17 * 1024 * 1024)}"` }], /more than 16 MiB/],
  ])('%s', async (_, answers, reason) => {
    hub.answer(...answers);
    expect(await refusal('org/open', TOKEN)).toMatch(reason);
  });

  test('with endless pages', async () => {
    const next = { link: `<${hub.url}/api/models/org/open/tree/main>; rel="next"` };
    hub.answer(...tree([], next), ...Array.from({ length: 60 }, () => ({ status: 200, body: '[]', headers: next })));
    expect(await refusal('org/open')).toMatch(/lists more than 50 pages of files/);
  });

  test.each([
    '../escape',
    'a/../../b',
    '/etc/passwd',
    'C:\\x',
    'a\\..\\b',
    '.git/config',
    'a//b',
    'a/./b',
    'a\u0000b',
    'a\nb',
    '\u202egnp.onnx',
    'trailing.',
    'x'.repeat(201),
  ])('without its file %j', async (path) => {
    hub.answer(...tree([{ ...entry, path }, entry]));
    expect((await read('org/open')).files.map((one) => one.path)).toEqual(['config.json']);
  });
});

describe('an answer of the API', () => {
  let server: Server | undefined;
  afterEach(() => server?.close());

  async function serve(answer: RequestListener): Promise<string> {
    server = createServer(answer).listen(0, '127.0.0.1');
    await new Promise((resolve) => server?.once('listening', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  test('that drips byte by byte is broken off, and the pull fails', async () => {
    const impatient = { ...quick, leastBytes: 600, rateWindowMs: 300 };
    const url = await serve((_, response) => drip(response, 10_000, 20));
    expect(String(await reasonOf(read('org/open', undefined, url, impatient)))).toMatch(
      /the list of files could not be downloaded: received \d+ bytes in 0\.3 s, at least 600 are required \(3 tries\)/,
    );
  });

  test('that is 400 MB of compressed zeros is refused at 16 MiB', async () => {
    const before = process.memoryUsage.rss();
    const url = await serve((_, response) => sendZeros(response, 4e8));
    expect(await refusal('org/open', undefined, url)).toMatch(/answers with more than 16 MiB/);
    expect(process.memoryUsage.rss() - before).toBeLessThan(200e6);
  });

  test('that is compressed is accepted', async () => {
    const url = await serve((request, response) => {
      const body = request.url?.includes('/tree/') ? '[]' : JSON.stringify({ sha: COMMIT });
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(body));
    });
    expect((await read('org/open', undefined, url)).commit).toBe(COMMIT);
  });

  test.each([
    ['that is cut off', { 'content-length': 100 }, '{"sha":'],
    ['that is not what its encoding says', { 'content-encoding': 'gzip' }, 'plain text'],
  ])('%s fails the pull after some tries, and not the process', async (_, headers, body) => {
    const url = await serve((_request, response) => {
      response.writeHead(200, headers);
      response.write(body, () => response.socket?.end());
    });
    expect(await refusal('org/open', undefined, url)).toMatch(
      /the connection to 127\.0\.0\.1:\d+ broke \(.+\) \(3 tries\)/,
    );
  });

  test('never quotes a wrong field in the error', async () => {
    for (const sha of ['SECRET', { SECRET: 1 }, ['SECRET']]) {
      const url = await serve((_, response) => response.end(JSON.stringify({ sha, SECRET: 1 })));
      expect(await refusal('org/open', undefined, url)).toMatch(/malformed answer/);
      expect(await refusal('org/open', undefined, url)).not.toContain('SECRET');
      server?.close();
    }
    const url = await serve((_, response) => response.end('{"sha": SECRET'));
    expect(await refusal('org/open', undefined, url)).not.toContain('SECRET');
  });
});

test('a redirect of the API to another host is followed without the token', async () => {
  const tokens: (string | undefined)[] = [];
  const elsewhere = createServer((request, response) => {
    tokens.push(request.headers.authorization);
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ sha: COMMIT }));
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => elsewhere.once('listening', resolve));
  const location = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}/`;
  hub.answer({ status: 307, headers: { location }, body: '' });
  expect((await read('org/gated', TOKEN)).commit).toBe(COMMIT);
  elsewhere.close();
  expect(tokens).toEqual([undefined]);
});
