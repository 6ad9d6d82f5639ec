/** Random malformed requests: never 5xx, always the error shape, and the worker is healthy afterwards. */
import { expect, test } from 'vitest';
import { attack } from '../../soak/attack.ts';
import { Ledger } from '../../soak/ledger.ts';
import { sampleSize } from '../../support/sample.ts';

const SEED = Number(process.env['FC_SEED'] ?? 575);

test('malformed requests get an error and harm nothing', async () => {
  const ledger = new Ledger();
  const { statuses } = await attack(sampleSize(800, 200), SEED, ledger);
  expect(ledger.violations).toEqual([]);
  // They were wrong in several ways, and answers were checked.
  expect(statuses.get('400')).toBeGreaterThan(sampleSize(100, 25));
  expect(statuses.size).toBeGreaterThan(sampleSize(3, 2));
}, 60_000);
