/**
 * A local model hub: model info, tree with pages, `resolve` that redirects large files to a "CDN" of another
 * origin, Range, ETag, refusals with codes; and planned faults for each file and try. Counts requests and
 * sent bytes.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline, Readable } from 'node:stream';
import { createGzip } from 'node:zlib';

/**
 * The fault of one request for the bytes of a file. After the last fault of its list a file is served
 * correctly.
 */
export type Fault =
  /** The connection is cut after this many bytes of the body. */
  | { readonly cut: number }
  /** This many bytes, then nothing. */
  | { readonly hang: number }
  /** One byte, again after so many milliseconds, without end. */
  | { readonly dripMs: number }
  /** So many zeros, compressed, with the header of compressed content. */
  | { readonly gzipOf: number }
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  /** The right number of bytes, one of which is wrong. */
  | 'wrong bytes'
  /** A body with a correct length that is not the length of the file. */
  | { readonly length: number }
  /** All bytes with status 200, for any requested range. */
  | 'no range'
  /** A part with status 206 that begins elsewhere. */
  | 'other range'
  | { readonly redirect: string };

export interface HubFile {
  readonly bytes: Uint8Array;
  /** Stored in Git LFS: identified by SHA-256, with its bytes on the CDN. */
  readonly lfs?: boolean;
  /** Wrong fields of its entry in the tree. */
  readonly told?: Readonly<Record<string, unknown>>;
}

export interface HubRepository {
  readonly files: Readonly<Record<string, HubFile>>;
  /** Revision → commit; `main` always exists. */
  readonly refs?: Readonly<Record<string, string>>;
  /** Requires this token; without it, status and code of the refusal. */
  readonly token?: string;
  readonly refusal?: { readonly status: number; readonly code: string };
  /** Further fields of the answer about the model. */
  readonly info?: object;
}

/** One request that the server received. */
export interface Seen {
  readonly host: 'hub' | 'cdn';
  readonly path: string;
  readonly authorization: string | undefined;
  readonly range: string | undefined;
  /** Bytes of a file that were written to the socket. */
  sent: number;
}

export const COMMIT = 'c0ffee'.repeat(7).slice(0, 40);
const PAGE = 3;
/** A client loses unread bytes when its connection breaks, so it gets some time. */
const CUT_MS = 30;

interface Shape {
  readonly length: number;
  readonly cut?: number;
  readonly hang?: number;
}

export class HubServer {
  readonly seen: Seen[] = [];
  readonly #repositories = new Map<string, HubRepository>();
  /** Path of a file → faults, in order. */
  readonly #faults = new Map<string, Fault[]>();
  /** Path of the API → wrong answers, in order. */
  readonly #answers: { status: number; headers?: Record<string, string>; body: string }[] = [];
  readonly #hub: Server;
  readonly #cdn: Server;
  readonly #sending = new Set<() => void>();
  /** The URLs by which the client knows both servers, if a proxy is in between. */
  names: { readonly hub: string; readonly cdn: string } | undefined;

  private constructor() {
    this.#hub = createServer((request, response) => this.#atHub(request, response));
    this.#cdn = createServer((request, response) => this.#atCdn(request, response));
  }

  static async start(repositories: Readonly<Record<string, HubRepository>>): Promise<HubServer> {
    const server = new HubServer();
    for (const [name, repository] of Object.entries(repositories)) server.put(name, repository);
    for (const one of [server.#hub, server.#cdn]) {
      one.listen(0, '127.0.0.1');
      await once(one, 'listening');
    }
    return server;
  }

  put(name: string, repository: HubRepository): void {
    this.#repositories.set(name, repository);
  }

  /** Sets the faults of the next requests for the bytes of a file. */
  fail(path: string, ...faults: readonly Fault[]): void {
    this.#faults.set(path, [...faults]);
  }

  /** Sets the answers of the next requests to the API. */
  answer(...answers: readonly { status: number; headers?: Record<string, string>; body: string }[]): void {
    this.#answers.splice(0, Number.POSITIVE_INFINITY, ...answers);
  }

  get url(): string {
    return urlOf(this.#hub);
  }

  get cdnUrl(): string {
    return urlOf(this.#cdn);
  }

  /** Bytes of a file sent by all tries. */
  sentOf(path: string): number {
    return this.seen.filter((one) => one.path.endsWith(`/${path}`)).reduce((sum, { sent }) => sum + sent, 0);
  }

  /** Requests for the bytes of a file. */
  triesOf(path: string): Seen[] {
    const holder = this.#isLfs(path) ? 'cdn' : 'hub';
    return this.seen.filter((one) => one.host === holder && one.path.endsWith(`/${path}`));
  }

  /** Resolves when this many bytes of a file are sent. */
  async untilSent(path: string, bytes: number): Promise<void> {
    while (this.sentOf(path) < bytes) await new Promise<void>((resolve) => this.#sending.add(resolve));
  }

  async close(): Promise<void> {
    for (const one of [this.#hub, this.#cdn]) {
      one.closeAllConnections();
      await new Promise((resolve) => one.close(resolve));
    }
  }

  #atHub(request: IncomingMessage, response: ServerResponse): void {
    const seen = this.#see('hub', request);
    const url = new URL(request.url ?? '/', this.names?.hub ?? this.url);
    const [, api, name = '', verb, revision = '', path = ''] =
      /^(\/api\/models)?\/([^/]+\/[^/]+)\/(revision|tree|resolve)\/([^/]+)(?:\/(.+))?$/.exec(url.pathname) ?? [];
    const repository = this.#repositories.get(name);
    const commit = repository && commitOf(repository, decodeURIComponent(revision));
    const planned = api === undefined ? undefined : this.#answers.shift();
    const file = repository?.files[decodeURIComponent(path)];
    const allowed = repository?.token === undefined || seen.authorization === `Bearer ${repository.token}`;
    const { status, code } = repository?.refusal ?? { status: 401, code: 'GatedRepo' };
    if (planned) response.writeHead(planned.status, planned.headers).end(planned.body);
    else if (!repository) refuse(response, 401, 'RepoNotFound');
    else if (!allowed) refuse(response, status, code);
    else if (commit === undefined) refuse(response, 404, 'RevisionNotFound');
    else if (verb === 'revision')
      json(response, { _id: '1', id: name, sha: commit, private: false, siblings: [], ...repository.info });
    else if (verb === 'tree') this.#tree(response, repository, url);
    else if (!file) refuse(response, 404, 'EntryNotFound');
    else if (!file.lfs) this.#send(decodeURIComponent(path), file.bytes, seen, response);
    else this.#toCdn(response, `${name}/${path}`, file, commit);
  }

  #toCdn(response: ServerResponse, path: string, file: HubFile, commit: string): void {
    response.writeHead(302, {
      location: `${this.names?.cdn ?? this.cdnUrl}/signed/${path}?signature=secret`,
      'x-linked-etag': `"${sha256(file.bytes)}"`,
      'x-linked-size': String(file.bytes.byteLength),
      'x-repo-commit': commit,
    });
    response.end();
  }

  /** Like S3, it refuses a request with a token of another service. */
  #atCdn(request: IncomingMessage, response: ServerResponse): void {
    const seen = this.#see('cdn', request);
    const [, name = '', path = ''] = /^\/signed\/([^/]+\/[^/]+)\/(.+)$/.exec(seen.path) ?? [];
    const file = this.#repositories.get(name)?.files[decodeURIComponent(path)];
    if (!file || seen.authorization !== undefined) refuse(response, 400, '');
    else this.#send(decodeURIComponent(path), file.bytes, seen, response);
  }

  #tree(response: ServerResponse, { files }: HubRepository, url: URL): void {
    const from = Number(url.searchParams.get('cursor') ?? 0);
    const entries = Object.entries(files).map(([path, { bytes, lfs, told }]) => ({
      type: 'file',
      path,
      size: bytes.byteLength,
      oid: gitSha1(bytes),
      ...(lfs && { lfs: { oid: sha256(bytes), size: bytes.byteLength, pointerSize: 134 } }),
      ...told,
    }));
    const folders = [
      ...new Set(Object.keys(files).flatMap((path) => (path.includes('/') ? [path.split('/')[0]] : []))),
    ];
    const all = [...folders.map((path) => ({ type: 'directory', path, size: 0, oid: COMMIT })), ...entries];
    url.searchParams.set('cursor', String(from + PAGE));
    const more = from + PAGE < all.length ? { link: `<${url.href}>; rel="next"` } : {};
    json(response, all.slice(from, from + PAGE), more);
  }

  #send(path: string, bytes: Uint8Array, seen: Seen, response: ServerResponse): void {
    const fault = this.#faults.get(path)?.shift();
    if (typeof fault === 'object' && 'status' in fault)
      response.writeHead(fault.status, fault.headers).end('{"error":"planned"}');
    else if (typeof fault === 'object' && 'redirect' in fault)
      response.writeHead(302, { location: fault.redirect }).end();
    else if (typeof fault === 'object' && 'dripMs' in fault) drip(response, bytes.byteLength, fault.dripMs);
    else if (typeof fault === 'object' && 'gzipOf' in fault) sendZeros(response, fault.gzipOf);
    else this.#sendBytes(fault, bytes, seen, response);
  }

  #sendBytes(fault: Fault | undefined, bytes: Uint8Array, seen: Seen, response: ServerResponse): void {
    const asked = fault === 'no range' ? undefined : /^bytes=(\d+)-$/.exec(seen.range ?? '')?.[1];
    const from = Number(asked ?? 0) + (fault === 'other range' ? 1 : 0);
    const { length, cut, hang } = { length: bytes.byteLength, ...(typeof fault === 'object' && fault) } as Shape;
    const body = resized(bytes, length).subarray(from);
    if (fault === 'wrong bytes') body[0] = (body[0] ?? 0) ^ 255;
    response.writeHead(asked === undefined ? 200 : 206, {
      'content-length': body.byteLength,
      etag: `"${seen.host === 'hub' ? gitSha1(bytes) : sha256(bytes)}"`,
      ...(seen.host === 'hub' && { 'x-repo-commit': /\/resolve\/([0-9a-f]{40})\//.exec(seen.path)?.[1] ?? COMMIT }),
      ...(asked !== undefined && { 'content-range': `bytes ${from}-${length - 1}/${length}` }),
    });
    response.flushHeaders();
    const part = body.subarray(0, cut ?? hang ?? body.byteLength);
    response.write(part, () => {
      seen.sent += part.byteLength;
      for (const wake of [...this.#sending]) wake();
      this.#sending.clear();
      // Closed after the written bytes: a reset would discard them.
      if (cut !== undefined) setTimeout(() => response.socket?.end(), CUT_MS);
      else if (hang === undefined) response.end();
    });
  }

  #see(host: Seen['host'], { url = '/', headers }: IncomingMessage): Seen {
    const path = new URL(url, 'http://any').pathname;
    const seen: Seen = { host, path, authorization: headers.authorization, range: headers.range, sent: 0 };
    this.seen.push(seen);
    return seen;
  }

  #isLfs(path: string): boolean {
    return [...this.#repositories.values()].some(({ files }) => files[path]?.lfs);
  }
}

/** Sends one byte again and again. */
export function drip(response: ServerResponse, length: number, everyMs: number): void {
  response.writeHead(200, { 'content-length': length, 'content-type': 'application/json' });
  const timer = setInterval(() => response.write(' '), everyMs);
  response.on('close', () => clearInterval(timer));
}

/** Sends compressed zeros; memory of this process is not needed for them. */
export function sendZeros(response: ServerResponse, length: number): void {
  response.writeHead(200, { 'content-encoding': 'gzip', 'content-type': 'application/json' });
  const zeros = Buffer.alloc(1 << 20);
  const pieces = (function* () {
    for (let left = length; left > 0; left -= zeros.length) yield zeros.subarray(0, left);
  })();
  pipeline(Readable.from(pieces), createGzip({ level: 1 }), response, () => undefined);
}

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
export const gitSha1 = (bytes: Uint8Array): string =>
  createHash('sha1').update(`blob ${bytes.byteLength}\0`).update(bytes).digest('hex');

function commitOf({ refs }: HubRepository, revision: string): string | undefined {
  const all: Readonly<Record<string, string>> = { main: COMMIT, ...refs };
  return all[revision] ?? Object.values(all).find((commit) => commit === revision);
}

function resized(bytes: Uint8Array, length: number): Uint8Array {
  const other = new Uint8Array(length);
  other.set(bytes.subarray(0, length));
  return other;
}

function json(response: ServerResponse, body: unknown, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

/** A refusal of the hub: the code in a header is more precise than the status. */
function refuse(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { 'content-type': 'application/json', ...(code !== '' && { 'x-error-code': code }) });
  response.end(JSON.stringify({ error: 'planned refusal' }));
}

function urlOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
