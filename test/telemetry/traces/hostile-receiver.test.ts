/** Receivers that answer against the rules: each costs a batch at most, and the next batch is exported. */
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Exporter } from '../../../src/telemetry/traces/exporter.ts';
import { Poster } from '../../../src/telemetry/traces/post.ts';
import { answerText, endless, type RawAnswer, RawReceiver, TAKE } from '../../support/raw-receiver.ts';

let receiver: RawReceiver;
let exporter: Exporter | undefined;
let exported = 0;
const dropped: string[] = [];

/** Milliseconds of a batch that is lost at the limit. Its next attempt would begin after 500 ms at least. */
const LIMIT_MS = 600;
/** Milliseconds of a batch whose answer decides: more than a machine with much load needs for it. */
const LONG_LIMIT_MS = 4000;
const IS_DECIDED = /taken|rejected|HTTP status/;

/** @param limitMs milliseconds of a batch; one attempt has half of them */
function open({ url = receiver.url, limitMs = LIMIT_MS } = {}): void {
  exporter = new Exporter({
    receiver: { url: new URL(`${url}/v1/traces`), headers: {}, compression: 'none' },
    timeoutMs: limitMs / 2,
    batch: { delayMs: 1, queueSize: 10, batchSize: 10, exportTimeoutMs: limitMs },
    bodyOf: (spans) => `[${spans.join()}]`,
    onExported: (spans) => {
      exported += spans;
    },
    onDropped: (spans, reason, cause) => {
      for (let span = 0; span < spans; span += 1) dropped.push(`${reason}: ${cause}`);
    },
  });
}

beforeEach(async () => {
  receiver = await RawReceiver.open();
  exported = 0;
  dropped.length = 0;
});
afterEach(async () => {
  await exporter?.close(0);
  exporter = undefined;
  await receiver.close();
});

/** The fate of one span: taken, or the reason for its loss. */
async function fateOf(answer: RawAnswer): Promise<string> {
  receiver.answer = answer;
  const [before, lost] = [exported, dropped.length];
  exporter?.add('{}');
  await expect.poll(() => exported - before + dropped.length - lost, { timeout: 30_000 }).toBe(1);
  return dropped[lost] ?? 'taken';
}
const say =
  (...texts: readonly (string | Buffer)[]): RawAnswer =>
  (socket) => {
    for (const text of texts) socket.write(text);
  };

const HEAD = 'HTTP/1.1 200 OK\r\n';
const NO_ANSWER = /^export_failed: no answer within \d+ ms$/;

test.each<[string, RawAnswer, RegExp]>([
  ['is silent', () => undefined, NO_ANSWER],
  ['closes the connection', (socket) => socket.end(), /^export_failed: ECONNRESET$/],
  ['resets the connection', (socket) => socket.resetAndDestroy(), /^export_failed: ECONNRESET$/],
  ['does not speak HTTP', say('220 mail.example ESMTP\r\n'), /^export_failed: HPE_/],
  ['speaks HTTP/9', say('HTTP/9.9 200 OK\r\n\r\n'), /^export_failed: HPE_/],
  ['begins an answer', say(HEAD, 'X-Begun: ye'), NO_ANSWER],
  [
    'changes the protocol',
    say('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'),
    /^export_failed: /,
  ],
  [
    'redirects',
    say(answerText('307 Temporary Redirect', '', 'Location: http://127.0.0.1:1/')),
    /failed: HTTP status 307$/,
  ],
  ['redirects to itself', say(answerText('308 Permanent Redirect', '', 'Location: /')), /failed: HTTP status 308$/],
  ['answers with a status of six digits', say('HTTP/1.1 200200 OK\r\n\r\n'), /^export_failed: HPE_/],
  ['answers with gzip', say(answerGzip()), /^taken$/],
  ['answers without JSON', say(answerText('200 OK', '<html>')), /^taken$/],
  ['answers with broken JSON', say(answerText('200 OK', '{"partialSuccess":{"rejectedSpans":"1"')), /^taken$/],
  ['rejects more spans than it got', say(partial('"99"')), /^rejected: the receiver refuses spans \(why\)$/],
  ['rejects 2⁶³ spans', say(partial('"9223372036854775807"')), /^taken$/],
  ['rejects a list of spans', say(partial('[1]')), /^rejected: /],
  ['rejects a part of a span', say(partial('0.5')), /^taken$/],
  ['has a list as its answer', say(answerText('200 OK', '[[[]]]')), /^taken$/],
  ['breaks off its answer', (socket) => socket.end(`${HEAD}Content-Length: 99\r\n\r\n{"par`), /^taken$/],
  ['never ends its answer', say(`${HEAD}Content-Length: 99\r\n\r\n{"par`), /^taken$/],
  ['never ends its refusal', say('HTTP/1.1 400 No\r\nContent-Length: 99\r\n\r\n{'), /failed: HTTP status 400$/],
  ['answers twice', say(answerText('200 OK', '{}'), answerText('500 No')), /^taken$/],
])('a receiver that %s', async (_, answer, fate) => {
  open({ limitMs: IS_DECIDED.test(fate.source) ? LONG_LIMIT_MS : LIMIT_MS });
  expect(await fateOf(answer)).toMatch(fate);
  // The answer that nobody asked for may be the answer to the next request.
  await expect.poll(() => fateOf(TAKE)).toBe('taken');
});

function answerGzip(): Buffer {
  const body = gzipSync('{"partialSuccess":{"rejectedSpans":"1"}}');
  return Buffer.concat([Buffer.from(`${HEAD}Content-Encoding: gzip\r\nContent-Length: ${body.length}\r\n\r\n`), body]);
}

function partial(rejectedSpans: string): string {
  return answerText('200 OK', `{"partialSuccess":{"rejectedSpans":${rejectedSpans},"errorMessage":"why"}}`);
}

/** Characters that fit into the buffers of a connection between two processes, with room to spare. */
const BUFFERS = 16 * 2 ** 20;

test.each<[string, string, string, RegExp]>([
  ['a body', `${HEAD}Transfer-Encoding: chunked\r\n\r\n`, `1000\r\n${'x'.repeat(4096)}\r\n`, /^200 $/],
  ['a head', HEAD, `X-Name: ${'x'.repeat(1000)}\r\n`, /^HPE_HEADER_OVERFLOW/],
  ['one header', `${HEAD}X-Name: `, 'x'.repeat(4096), /^HPE_HEADER_OVERFLOW/],
  ['the reason of a status', 'HTTP/1.1 200 ', 'x'.repeat(4096), /^HPE_HEADER_OVERFLOW/],
  ['interim answers', '', 'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n', /^interim answers without an end$/],
])('%s without an end is not read to its end', async (_, begin, text, expected) => {
  const poster = new Poster({ url: new URL(receiver.url), headers: {}, compression: 'none' });
  const post = (): Promise<string> =>
    poster.post('[]', 600_000, new AbortController().signal).then(
      ({ status, body }) => `${status} ${body}`,
      ({ code, message }) => code ?? message,
    );
  receiver.answer = endless(begin, text, receiver);
  expect(await post()).toMatch(expected);
  receiver.answer = TAKE;
  expect(await post()).toBe('200 {}');
  await expect.poll(() => receiver.connections).toBe(1);
  expect(receiver.written).toBeLessThan(BUFFERS);
  poster.close();
});

test.each(['315360000', '999999999', 'Fri, 31 Dec 9999 23:59:59 GMT'])(
  'a receiver that asks for a wait of %s costs the batch at once; the worker can end',
  async (wait) => {
    open({ limitMs: LONG_LIMIT_MS });
    expect(await fateOf(say(answerText('429 Slow', '', `Retry-After: ${wait}`)))).toMatch(/HTTP status 429$/);
    receiver.answer = TAKE;
    exporter?.add('{}');
    await exporter?.close(60_000);
    expect(exported).toBe(1);
    expect(receiver.requests).toBe(2);
  },
);

test.each(['0', '-1', 'Thu, 01 Jan 1970 00:00:00 GMT', '99999999999999999999', 'soon'])(
  'a receiver that asks for a wait of %s is not called in a tight loop',
  async (wait) => {
    open({ limitMs: LONG_LIMIT_MS / 2 });
    expect(await fateOf(say(answerText('503 Busy', '', `Retry-After: ${wait}`)))).toMatch(/HTTP status 503$/);
    // The second attempt begins after 500 ms at least, the third one after 1000 ms more.
    expect(receiver.requests).toBeLessThanOrEqual(3);
  },
);

test('a certificate that nobody has signed, and a server without TLS, cost the batch', async () => {
  const secure = await RawReceiver.open({ isTls: true });
  open({ url: secure.url, limitMs: LONG_LIMIT_MS });
  expect(await fateOf(TAKE)).toBe('export_failed: DEPTH_ZERO_SELF_SIGNED_CERT');
  expect(secure.requests).toBe(0);
  await exporter?.close(0);
  await secure.close();
  open({ url: receiver.url.replace('http:', 'https:') });
  expect(await fateOf(TAKE)).toMatch(/^export_failed: (?:EPROTO|ERR_SSL|no answer)/);
});
