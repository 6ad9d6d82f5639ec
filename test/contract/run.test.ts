/** Real workers conform to openapi.yaml and to the rules of narration, in every situation of `Scene`. */
import { beforeAll, describe, expect, test } from 'vitest';
import { STREAM_ERROR_CODES } from '../../src/contract/errors.ts';
import { CATALOGUE } from '../../src/narration/catalogue/catalogue.ts';
import { framesOf, problemsOf, type ReceivedEvent } from './conformance.ts';
import { isDialect } from './dialects.ts';
import { DOCUMENT, operations, SOURCE, schemaProblems, templateOf } from './document.ts';
import { narrationProblems } from './rules.ts';
import { Scene } from './scene.ts';

/** Covered by test/e2e/streams/slow-subscribers.test.ts. */
const SLOW_SUBSCRIBER_EVENTS = ['reader.slow', 'reader.dropped', 'generation.paused', 'generation.resumed'];

const scene = new Scene();
beforeAll(() => scene.play(), 120_000);

const isStream = (headers: Record<string, string>): boolean =>
  headers['content-type']?.startsWith('text/event-stream') === true;
const events = (): ReceivedEvent[] =>
  scene.exchanges
    .filter(({ request, response }) => isStream(response.headers) && !isDialect(request.path))
    .flatMap(({ response }) => framesOf(response.body));

describe('real workers, compared with openapi.yaml', () => {
  test('every answer and every event of every stream conforms to the document', () => {
    const wrong = scene.exchanges
      .map((exchange) => ({
        sent: `${exchange.request.method} ${exchange.request.path} ${JSON.stringify(exchange.request.body)?.slice(0, 80)}`,
        problems: problemsOf(exchange),
      }))
      .filter(({ problems }) => problems.length > 0);
    expect(wrong).toEqual([]);
  });

  test('every ready callback conforms to the schema of the webhook', () => {
    const { schema } = DOCUMENT.webhooks['ready']?.['post']?.requestBody?.content['application/json'] ?? {};
    expect(scene.callbacks.map((body) => schemaProblems(schema ?? { not: {} }, body))).toEqual([[], []]);
  });

  test('every documented status occurs, except a fault of the worker', () => {
    const answered = new Set(
      scene.exchanges.map(({ request, response }) => `${templateOf(request.path)} ${response.status}`),
    );
    const documented = operations().flatMap(({ path, operation }) =>
      Object.keys(operation.responses).map((status) => `${path} ${status}`),
    );
    const missing = documented.filter((one) => !answered.has(one));
    expect(missing).toEqual(operations().map(({ path }) => `${path} 500`));
  });

  test('a valid correlation id and a traceparent come back unchanged; an invalid id is replaced', () => {
    for (const { sentHeaders, response } of scene.exchanges) {
      const [sent, back] = [sentHeaders['X-Correlation-Id'], response.headers['x-correlation-id']];
      if (sent?.startsWith('req-')) expect(back).toBe(sent);
      else expect(back).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      expect(response.headers['traceparent']).toBe(sentHeaders['traceparent']);
    }
  });

  test('the served contract equals openapi.yaml of the repository, as YAML and as JSON', () => {
    const served = (path: string) =>
      scene.exchanges.find(({ request, response }) => request.path === path && response.status === 200)?.response
        .body ?? '';
    expect(served('/openapi.yaml')).toBe(SOURCE);
    expect(JSON.parse(served('/openapi.json'))).toEqual(DOCUMENT);
  });

  test('all six events occur, and every error code that a caller can provoke', () => {
    expect(new Set(events().map(({ name }) => name))).toEqual(
      new Set(['started', 'narration', 'token', 'metrics', 'end', 'error']),
    );
    const codes = new Set(events().flatMap(({ name, data }) => (name === 'error' ? [data['code']] : [])));
    const unseen = STREAM_ERROR_CODES.filter((code) => !codes.has(code));
    expect(unseen).toEqual(['VRAM_OOM', 'INFERENCE_FAILED', 'SLOW_CONSUMER']);
  });
});

describe('the narration of the run', () => {
  test('every line keeps the limits of sentences', () => {
    expect(scene.lines.length).toBeGreaterThan(200);
    expect(scene.lines.flatMap((line) => narrationProblems(line))).toEqual([]);
  });

  test('every event of a request occurs except those of a long prompt, of a slow client, of a change of the speed, and of suspects', () => {
    const narrated = new Set(scene.lines.map(({ event }) => event));
    const ofRequests = Object.entries(CATALOGUE).filter(([, { scope }]) => scope === 'request');
    const missing = ofRequests.map(([name]) => name).filter((name) => !narrated.has(name));
    // A prompt of the embedded model fits into one chunk, and its tokens fit into the buffers of any socket.
    // Changes of the speed take seconds: test/e2e/streams/why-slow.test.ts has them.
    const speed = ['prefill.progress', 'batch.grew', 'batch.shrank', 'generation.slowed'];
    // Two losses in a row: test/e2e/engine/suspects.test.ts. A cache that is used up has tests of its own.
    const elsewhere = [...speed, 'request.held', 'request.preempted'];
    expect(missing.filter((name) => !elsewhere.includes(name))).toEqual(SLOW_SUBSCRIBER_EVENTS);
  });

  test('a stream has exactly the sentences that `--narration` allows', () => {
    const narrations = events().filter(({ name }) => name === 'narration');
    const human = narrations.filter(({ data }) => ['first', 'second', 'third'].includes(String(data['job_id'])));
    expect(human.filter(({ data }) => 'cute' in data || 'story' in data)).toEqual([]);
    const full = narrations.filter((event) => !human.includes(event));
    expect(full.filter(({ data }) => !('cute' in data))).toEqual([]);
  });
});
