/** Sanitizing of text for both sinks: secrets, harmful characters, length. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cut, harmless, keepSecret, redact, sanitize } from '../../src/narration/sanitize.ts';

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

  test('redacting twice gives the same text as redacting once', () => {
    const text = 'Authorization: Bearer abcdef token=xyz http://a:b@c';
    expect(redact(redact(text))).toBe(redact(text));
  });

  test('hostile text takes linear time', () => {
    const seeds = [
      'eyJ',
      'eyJa.',
      '://',
      '://a:',
      'token=',
      'Bearer ',
      '-----BEGIN ',
      '-----BEGIN PRIVATE KEY-----',
      'a@',
      '"',
      '-',
    ];
    for (const seed of seeds) {
      const began = performance.now();
      redact(seed.repeat(8192 / seed.length));
      expect(performance.now() - began).toBeLessThan(5000);
    }
  });
});

describe('harmful characters are made harmless', () => {
  test('line breaks and tabs become a space, so that a line stays a line', () => {
    expect(harmless('a\r\nb\tc\u2028d\u0085e')).toBe('a b c d e');
  });

  test('control and zero-width formatting characters are removed', () => {
    expect(harmless('a\u0000b\u001b[31mc\u200bd\u202ee\ufefff\u00adg\u2066h\u{e0041}i')).toBe('ab[31mcdefghi');
  });

  test.each(['👩‍👩‍👧‍👦', '🏳️‍🌈', '👩🏽‍🚀', '❤️‍🔥'])('the emoji %s stays whole', (emoji) => {
    expect(harmless(`a\n${emoji}b`)).toBe(`a ${emoji}b`);
  });

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
        expect(clean.replaceAll('\u200d', '')).not.toMatch(/[\p{Cc}\p{Cf}\u2028\u2029]/u);
      }),
    );
  });
});
