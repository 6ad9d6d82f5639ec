/** Mistyped names of settings are found, and the nearest known name is suggested. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readConfig, readSettings } from '../../src/config/config.ts';
import { nearestOf } from '../../src/config/nearest.ts';
import { environmentName, SETTINGS } from '../../src/config/settings.ts';
import { MAX_UNKNOWN, unknownSettings } from '../../src/config/unknown-settings.ts';

const VALUE = 'never-shown';

describe('unknown variables', () => {
  test.each([
    ['RBEES_MAX_TOKEN_CAP', 'RBEES_MAX_TOKENS_CAP'],
    ['RBEES_PROT', 'RBEES_PORT'],
    ['RBEES_CALLBACK_ULR', 'RBEES_CALLBACK_URL'],
    ['RBEES_API-TOKEN', 'RBEES_API_TOKEN'],
    ['RBEES_port', 'RBEES_PORT'],
    ['rbees_host', 'RBEES_HOST'],
    ['RBEES_ENVFILE', 'RBEES_ENV_FILE'],
    ['RBEES_TEMPERATURE', undefined],
    ['RBEES_', undefined],
    [`RBEES_${'PORT'.repeat(1000)}`, undefined],
  ])('%s: %s', (name, suggestion) => {
    const { listed, count } = unknownSettings({ [name]: VALUE });
    expect(listed).toEqual([suggestion === undefined ? { name } : { name, suggestion }]);
    expect(count).toBe(1);
    expect(JSON.stringify(listed)).not.toContain(VALUE);
  });

  test('every setting is known, and so are other variables', () => {
    const names = [...Object.keys(SETTINGS).map(environmentName), 'RBEES_ENV_FILE', 'PATH', 'HF_TOKEN', 'BEES_PORT'];
    expect(unknownSettings(Object.fromEntries(names.map((name) => [name, VALUE])))).toEqual({ listed: [], count: 0 });
  });

  test('the variables of a service of Kubernetes are no settings', () => {
    const service = {
      RBEES_WORKERD_SERVICE_HOST: '10.0.0.1',
      RBEES_WORKERD_SERVICE_PORT_HTTP: '8080',
      RBEES_WORKERD_PORT: 'tcp://10.0.0.1:8080',
      RBEES_WORKERD_PORT_8080_TCP_ADDR: '10.0.0.1',
    };
    expect(unknownSettings(service).count).toBe(0);
    expect(unknownSettings({ RBEES_WORKERD_PORT: '1' }).count).toBe(1);
    expect(() => readConfig([], { RBEES_PORT: 'tcp://10.0.0.1:8080' })).toThrow(/RBEES_PORT.*enableServiceLinks/);
  });

  test('are listed up to a number, and counted', () => {
    const many = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`RBEES_X${index}`, VALUE]));
    const { listed, count } = unknownSettings(many);
    expect([listed.length, count]).toEqual([MAX_UNKNOWN, 1000]);
  });

  test('of the environment and of the file', () => {
    const folder = mkdtempSync(join(tmpdir(), 'unknown-'));
    writeFileSync(join(folder, '.env'), 'RBEES_SLOT=3\nOTHER=1\n');
    const { unknown } = readSettings([], { environment: { RBEES_QEUE: '1' }, folder });
    rmSync(folder, { recursive: true });
    expect(unknown.listed).toEqual([
      { name: 'RBEES_QEUE', suggestion: 'RBEES_QUEUE' },
      { name: 'RBEES_SLOT', suggestion: 'RBEES_SLOTS', file: join(folder, '.env') },
    ]);
  });
});

test.each([
  ['--max-token-cap', 'Did you mean --max-tokens-cap?'],
  ['--max_tokens_cap=3', 'Did you mean --max-tokens-cap?'],
  ['--envfile', 'Did you mean --env-file?'],
])('the error of an unknown flag suggests a known one: %s', (flag, expected) => {
  expect(() => readConfig([flag], {})).toThrow(expected);
});

test('no flag is suggested for a name like no other, or for a missing value', () => {
  for (const args of [['--temperature=1'], ['--port']])
    expect(() => readConfig(args, {})).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining('Did you') }),
    );
});

test('the nearest name has the fewest typing errors', () => {
  expect(nearestOf('portt', ['post', 'port', 'ports'])).toBe('port');
  expect(nearestOf('', ['a', 'abc'])).toBe('a');
  expect(nearestOf('quite-another', ['port'])).toBeUndefined();
});
