/** Sanitizing of text for both sinks: secrets, harmful characters, length. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cut, harmless, harmlessLines, keepSecret, redact, sanitize } from '../../src/narration/sanitize.ts';

describe('secrets become [REDACTED]', () => {
  const PKCS8 = '-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqh\nkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----';
  test.each([
    ['a bearer token', 'Authorization: Bearer abc.def-123', 'abc.def-123'],
    ['a basic credential', 'authorization=Basic dXNlcjpwYXNz', 'dXNlcjpwYXNz'],
    ['a key=value secret', 'api_key=sk-12345 rest', 'sk-12345'],
    ['an environment variable', 'HF_TOKEN=hf_abcdef', 'hf_abcdef'],
    ['a JSON secret', '{"client_secret": "s3cr3t!"}', 's3cr3t!'],
    ['a password after a colon', 'password: hunter2', 'hunter2'],
    ['a JWT', 'got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dBjftJeZ4CVP', 'dBjftJeZ4CVP'],
    ['an unsigned JWT', 'got eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.', 'eyJzdWIiOiIxIn0'],
    ['a PKCS#8 key', `key ${PKCS8} end`, 'MIIEvQIBADANBgkqh'],
    ['an encrypted PKCS#8 key', PKCS8.replaceAll('PRIVATE', 'ENCRYPTED PRIVATE'), 'MIIEvQIBADANBgkqh'],
    ['an RSA key', PKCS8.replaceAll('PRIVATE', 'RSA PRIVATE'), 'MIIEvQIBADANBgkqh'],
    ['a key without its end', PKCS8.slice(0, 50), 'MIIEvQ'],
    ['a URL password', 'http://user:pa55@host/path', 'pa55'],
    ['a URL password with an @', 'postgres://user:pa@55@host/db', '55@host'],
  ])('%s', (_, text, secret) => {
    expect(redact(text)).toContain('[REDACTED]');
    expect(redact(text)).not.toContain(secret);
  });

  test.each([
    ['https://h.example/p?key=A&sig=B&X-Amz-Signature=C&code=D&auth=F&pwd=G', 'https://h.example/p?[REDACTED]'],
    ['https://h.example:8443/a/b?plain', 'https://h.example:8443/a/b?[REDACTED]'],
    ['https://h.example/p#access_key', 'https://h.example/p#[REDACTED]'],
    ['https://h.example?a=b#c', 'https://h.example?[REDACTED]'],
    ['https://ghp_user@h.example/p', 'https://[REDACTED]@h.example/p'],
    ['https://user:pa:ss@h.example/p@v1', 'https://[REDACTED]@h.example/p@v1'],
    ['https://user:pa/ss@h.example/p', 'https://[REDACTED]@h.example/p'],
    ['https://user:pa?ss@h.example/p?x', 'https://[REDACTED]@h.example/p?[REDACTED]'],
    ['WSS://h.example/p?t=1', 'WSS://h.example/p?[REDACTED]'],
    ['http://[::1]:80/x@y', 'http://[::1]:80/x@y'],
    ['(see http://h.example/p?t=1), then', '(see http://h.example/p?[REDACTED]), then'],
    ["fetch 'http://h.example/p?t=1'.", "fetch 'http://h.example/p?[REDACTED]'."],
    ['{"url":"http://h.example/p?t=1","n":2}', '{"url":"http://h.example/p?[REDACTED]","n":2}'],
    [
      'a http://h.example/p?t=1 b https://i.example/q?u=2 c',
      'a http://h.example/p?[REDACTED] b https://i.example/q?[REDACTED] c',
    ],
    ['http://h.example/p?to=https://i.example/q?u=2', 'http://h.example/p?[REDACTED]'],
    ['GET /path?sig=A&flag&x-key=B HTTP/1.1', 'GET /path?sig=[REDACTED]&flag&x-key=[REDACTED] HTTP/1.1'],
    ['http://h.example/p?[REDACTED]more', 'http://h.example/p?[REDACTED]'],
    ['http://h.example/p?', 'http://h.example/p?'],
  ])('in the URL %s', (text, clean) => {
    expect(redact(text)).toBe(clean);
    expect(redact(clean)).toBe(clean);
    expect(sanitize(text, 256)).toBe(clean);
  });

  test('of a URL of any kind, under any name', () => {
    const secret = fc.string({ unit: fc.constantFrom(..."abcXYZ019-._~%!$'()*+,;:@/?"), minLength: 6, maxLength: 30 });
    fc.assert(
      fc.property(secret, fc.constantFrom('?', '#', '?k=', '?a=1&k=', '?a=1#'), (value, start) => {
        // The punctuation at the end of a URL may belong to the sentence.
        expect(redact(`at https://h.example/p${start}Q${value}Q behind`)).toBe(
          `at https://h.example/p${start[0]}[REDACTED] behind`,
        );
      }),
    );
  });

  test('text that only resembles a secret stays', () => {
    for (const text of [
      'Tokenizer split the prompt into 17 tokens',
      'http://127.0.0.1:8080/ready',
      'max_tokens: 5',
      'the bearer of news',
    ]) {
      expect(redact(text)).toBe(text);
    }
  });

  test('the token of the worker is removed everywhere', () => {
    keepSecret('zebra-crossing-42');
    expect(redact('see zebra-crossing-42x')).toBe('see [REDACTED]x');
  });

  test('a registered secret is removed if it is no ordinary word', () => {
    keepSecret('proxy');
    expect(redact('the proxy refuses')).toBe('the proxy refuses');
  });

  test('redacting twice gives the same text as redacting once', () => {
    const text = 'Authorization: Bearer abcdef token=xyz http://a:b@c';
    expect(redact(redact(text))).toBe(redact(text));
  });

  test.each([
    ...[
      'eyJ',
      'eyJa.',
      'eyJhbGciOi.',
      '://',
      '://a:',
      'http://a:b@',
      'a@',
      'token=',
      'api_key: ',
      '"secret": "',
      'Bearer ',
      'http://',
      'https://a?',
      'http://a@',
      'http://a:',
      '?a=',
      '&a=b',
      '&a',
    ],
    ...[
      '-----BEGIN ',
      '-----BEGIN PRIVATE KEY-----',
      '-----END ',
      '"',
      '-',
      'a\u0315',
      '\u200d',
      '👩\u200d',
      '\u{e0061}',
    ],
  ])('hostile text takes linear time: %j', (seed) => {
    const text = seed.repeat(8192 / seed.length);
    let best = Number.POSITIVE_INFINITY;
    for (let run = 0; run < 5; run += 1) {
      const began = performance.now();
      sanitize(text, 256);
      best = Math.min(best, performance.now() - began);
    }
    expect(best).toBeLessThan(50);
  });
});

describe('harmful characters are made harmless', () => {
  test('line breaks and tabs become a space, so that a line stays a line', () => {
    expect(harmless('a\r\nb\tc\u2028d\u0085e')).toBe('a b c d e');
  });

  test('control and zero-width formatting characters are removed', () => {
    expect(harmless('a\u0000b\u001b[31mc\u200bd\u202ee\ufefff\u00adg\u2066h\u{e0041}i')).toBe('ab[31mcdefghi');
  });

  test.each([
    ['a variation selector', 'a\ufe00b\ufe0fc\u{e0100}d\u{e01ef}'],
    ['a second variation selector', '❤\ufe0f\ufe0f', '❤\ufe0f'],
    ['a joiner of graphemes', 'a\u034fb'],
    ['an inherent vowel of Khmer', 'a\u17b4b\u17b5'],
    ['a variation selector of Mongolian', 'a\u180bb\u180f'],
    ['a filler of Hangul', 'a\u115fb\u1160c\u3164d\uffa0'],
    ['private use', 'a\ue000b\u{f0000}c\u{10fffd}'],
    ['a noncharacter', 'a\ufdd0b\ufffec\u{1ffff}'],
    ['half of a pair', 'a\ud800b'],
    ['tags without a flag', 'a\u{e0067}\u{e0062}b\u{e007f}'],
    ['tags that make no flag', '🏴\u{e0068}\u{e0069}\u{e007f}', '🏴'],
    ['the selector of a digit', '1\ufe0fb', '1b'],
    ['marks of direction', 'a\u061cb\u200ec\u200fd\u202ae\u202ef\u2066g\u2069'],
    ['control characters of C1', 'a\u009b31mb\u0090c\u009dd', 'a31mbcd'],
  ])('%s is removed', (_, text, clean = text.replace(/[^a-z]/g, '')) => {
    expect(harmless(text)).toBe(clean);
  });

  test('a wide space and the blank of Braille become a space', () => {
    expect(harmless('山\u3000川\u2800x')).toBe('山 川 x');
  });

  test('text that people write stays', () => {
    for (const text of ['naïve – “quoted”', 'e\u0301', 'العربية', 'हिन्दी', '日本語', 'a\u00a0b', '𝒳', 'e\u20dd'])
      expect(harmless(text)).toBe(text);
  });

  test('several lines keep their line ends and nothing else', () => {
    expect(harmlessLines('a\u001b[2Jb\r\nc\td\re\n\u202ef\n')).toBe('a[2Jb\nc d e\nf\n');
  });

  test.each(['👩‍👩‍👧‍👦', '🏳️‍🌈', '👩🏽‍🚀', '❤️‍🔥', '❤️', '☎︎', '🇩🇪', '👍🏿', '1️⃣', '#️⃣', '🏴󠁧󠁢󠁥󠁮󠁧󠁿', '🏴󠁧󠁢󠁳󠁣󠁴󠁿', '👁️‍🗨️', '🧑🏽‍❤️‍🧑🏿'])(
    'the emoji %s stays whole',
    (emoji) => {
      expect(harmless(`a\n${emoji}b`)).toBe(`a ${emoji}b`);
    },
  );

  test('a joiner between letters is removed', () => {
    expect(harmless('a\u200db\u200d')).toBe('ab');
  });
});

describe('text is cut at a whole character', () => {
  test('short text stays unchanged', () => expect(cut('hello', 5)).toBe('hello'));

  test('an emoji is never split', () => {
    const family = '👩‍👩‍👧‍👦';
    expect(cut(`ab${family}${family}`, 10)).toBe('ab…');
    expect(cut(`ab${family}c`, 14)).toBe(`ab${family}c`);
  });

  test('any text gets short, well formed, and free of line breaks and invisible characters', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), fc.integer({ min: 2, max: 120 }), (text, limit) => {
        const clean = sanitize(text, limit);
        expect(clean.length).toBeLessThanOrEqual(limit);
        expect(clean.isWellFormed()).toBe(true);
        expect(clean.replaceAll(/[\u200d\ufe0e\ufe0f]/g, '')).not.toMatch(
          /[\p{Cc}\p{Cf}\p{Co}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}\u2028\u2029]/u,
        );
        expect(harmless(clean)).toBe(clean);
      }),
    );
  });
});
