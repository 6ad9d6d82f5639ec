/** The worker that a command calls: flags before variables, and no secret in a problem. */
import { expect, test } from 'vitest';
import { readClientSettings } from '../../src/config/network/client-settings.ts';
import { unknownSettings } from '../../src/config/unknown-settings.ts';

const URL = 'http://127.0.0.1:8080';
const OTHER = 'https://worker.example/base';
const TOKEN = 'long-enough-token';

test('a flag overrides its variable, and an empty variable is absent', () => {
  const environment = { RBEES_URL: OTHER, RBEES_API_TOKEN: TOKEN };
  expect(readClientSettings({}, environment)).toEqual({ url: OTHER, apiToken: TOKEN, problems: [] });
  expect(readClientSettings({ url: URL, apiToken: 'another-token' }, environment)).toEqual({
    url: URL,
    apiToken: 'another-token',
    problems: [],
  });
  expect(readClientSettings({}, { RBEES_URL: '', RBEES_API_TOKEN: '' })).toEqual({
    url: undefined,
    apiToken: undefined,
    problems: [],
  });
});

test('the URL none names no worker', () => {
  expect(readClientSettings({ url: 'none' }, { RBEES_URL: URL })).toMatchObject({ url: undefined, problems: [] });
});

test('a problem names the source and the allowed values, and never a secret', () => {
  const { problems } = readClientSettings({ url: 'ftp://user:secret@host' }, { RBEES_API_TOKEN: 'short' });
  expect(problems).toEqual([
    expect.stringMatching(
      /^--url: "ftp:.*" is not allowed; allowed: the http or https URL of a running worker, or none$/,
    ),
    'RBEES_API_TOKEN: (hidden) is not allowed; allowed: 8 to 512 visible ASCII characters',
  ]);
  expect(problems.join()).not.toMatch(/secret@|short/);
});

test('RBEES_URL is no unknown setting of a worker', () => {
  expect(unknownSettings({ RBEES_URL: URL, RBEES_URI: URL }).listed).toEqual([
    { name: 'RBEES_URI', suggestion: expect.any(String) },
  ]);
});
