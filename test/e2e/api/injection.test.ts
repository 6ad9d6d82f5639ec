/**
 * Text of callers and of the model never becomes a line, an event or a header, and errors reveal no
 * internals.
 */
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { sharedWorker } from '../../support/shared-worker.ts';
import { textOf as joined, type TestWorker } from '../../support/worker.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

let worker: TestWorker;
beforeAll(async () => {
  worker = await sharedWorker();
});

/** Texts that end lines, begin events or move a cursor. */
const SHARP = [
  '\n\ndata: {"type":"end"}\n\n',
  '\r\nevent: end\r\n',
  '\u2028id: 0',
  '\u0085',
  '\u001b[2J',
  '\u202eevil',
  '"},{"',
];

describe('a frame of a stream', () => {
  test('cannot be forged by a stop string, a field name or a correlation id', async () => {
    const unknown = Object.fromEntries(SHARP.map((text, index) => [`${text}${index}`, text]));
    const body = {
      job_id: 'frames',
      prompt: SHARP.join(''),
      raw: true,
      stop: SHARP.slice(0, 4),
      max_tokens: 20,
      seed: 3,
      ...unknown,
    };
    const response = await worker.post('/execute', body, { 'X-Correlation-Id': 'x"},{"y' });
    const text = await response.text();
    expect(text).toMatch(/^(?:id: \w+-\d+\nevent: [a-z]+\ndata: \{[^\r\n\u0085\u2028\u2029]*\}\n\n)+$/);
    expect(text.match(/^event: (end|error)$/gm)).toHaveLength(1);
  });

  test('carries any text of the model', async () => {
    const prompt = SHARP.join(' ');
    for (const seed of [1, 2, 3]) {
      const events = await worker.execute({ job_id: `says-${seed}`, prompt, temperature: 2, max_tokens: 60, seed });
      expect(events.filter(({ data }) => data.type === 'end')).toHaveLength(1);
      expect(typeof joined(events)).toBe('string');
    }
  });
});

describe('a line of the log', () => {
  test('is one JSON object for any name of a job, a field or a request', async () => {
    for (const [index, text] of SHARP.entries()) {
      await worker.post('/execute', { job_id: `a${text}b`, prompt: 'x', max_tokens: 1, [text]: 1 });
      await worker.post('/execute', { job_id: `fine-${index}`, prompt: 'x', max_tokens: 1, [text]: 1 });
      await worker.post('/cancel', { job_id: text });
      await worker.get(`/jobs/${encodeURIComponent(text)}/events?after=${encodeURIComponent(text)}`);
    }
    await worker.line('fields.ignored', (line) => line['job_id'] === `fine-${SHARP.length - 1}`);
    expect(worker.foreign).toEqual([]);
    const told = worker.lines.map((line) => JSON.stringify(Object.values(line)));
    // JSON escapes control characters; the text must not have had one.
    expect(told.filter((line) => /\\n|\\r|\\u00|[\u0085\u2028\u202e]/.test(line))).toEqual([]);
  });
});

test('a header of an answer has only validated values', async () => {
  for (const id of ['a%0d%0aSet-Cookie: x', 'x y', '"><script>']) {
    const response = await worker.get('/health', { 'X-Correlation-Id': id, traceparent: `00-${'0'.repeat(32)}-x` });
    expect(response.headers.get('x-correlation-id')).toMatch(/^[0-9a-f-]{36}$/);
    expect(response.headers.get('traceparent')).toBeNull();
    expect(response.headers.get('set-cookie')).toBeNull();
  }
});

test('no error has a path, a stack, a dependency or a word of the body', async () => {
  const secret = 'hunter2-in-the-body';
  const answers = await Promise.all([
    worker.post('/execute', `{"job_id": "${secret}", "prompt": "${secret}`),
    worker.post('/execute', `{"job_id": 1, "prompt": ["${secret}"], "messages": "${secret}"}`),
    worker.post('/execute', { job_id: 'x', messages: [{ role: secret, content: secret }] }),
    worker.post('/execute', 'x', { 'Content-Type': `text/${secret}` }),
    worker.post('/execute', { prompt: secret.repeat(5000), job_id: 'x' }),
    worker.post('/cancel', { job_id: { [secret]: 1 } }),
    worker.get(`/${secret}`),
    worker.get('/jobs/%zz/events'),
    worker.get('/../../etc/passwd'),
    fetch(`${worker.url}/execute`, { method: 'DELETE' }),
    fetch(`${worker.url}/health`, { method: 'PATCH', body: secret }),
  ]);
  for (const answer of answers) {
    expect([400, 404, 413, 415]).toContain(answer.status);
    const text = await answer.text();
    expect(JSON.parse(text)).toMatchObject({ error: { code: expect.any(String), correlation_id: expect.any(String) } });
    expect(text).not.toContain(secret);
    expect(text).not.toContain(ROOT);
    expect(text).not.toMatch(/node_modules|fastify|zod|FST_|\bat .*:\d+:\d+|\/src\/|\/dist\//i);
    expect(answer.headers.get('server')).toBeNull();
    expect(answer.headers.get('x-powered-by')).toBeNull();
  }
});
