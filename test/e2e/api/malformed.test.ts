/** Random malformed requests: never 5xx, always the error shape, and the worker is healthy afterwards. */
import { expect, test } from 'vitest';
import { attack } from '../../soak/attack.ts';
import { Ledger } from '../../soak/ledger.ts';

const SEED = Number(process.env['FC_SEED'] ?? 575);

test('eight hundred malformed requests', async () => {
  const ledger = new Ledger();
  const { statuses } = await attack(800, SEED, ledger);
  expect(ledger.violations).toEqual([]);
  // The requests were malformed in several ways, and their answers were checked.
  expect(statuses.get('400')).toBeGreaterThan(100);
  expect(statuses.size).toBeGreaterThan(3);
}, 60_000);
