/**
 * Clients that read, stall, leave, return and cancel during kills of the engine and a stop: every invariant
 * of test/soak/ledger.ts holds. A few seconds of `npm run soak`.
 */
import { beforeAll, expect, test } from 'vitest';
import { Ledger } from '../../soak/ledger.ts';
import { learnTexts, live } from '../../soak/life.ts';

/** One seed for all. FC_SEED sets another. */
const SEED = Number(process.env['FC_SEED'] ?? 575);

let texts: readonly string[];
beforeAll(async () => {
  texts = await learnTexts();
});

test.each([
  [SEED, 1, 'resume'],
  [SEED + 1, 2, 'resume'],
  [SEED + 2, 2, 'fail'],
])(
  'seed %i, with %i kills of the engine and --on-engine-loss %s',
  async (seed, kills, onLoss) => {
    const ledger = new Ledger();
    await live({ seed, clients: 40, spreadMs: 1500, kills, fails: onLoss === 'fail' }, texts, ledger);
    expect(ledger.violations).toEqual([]);
    // The waves had the intended mix: some jobs ended well, some were ended, some were read twice.
    expect(ledger.ends.get('end')).toBeGreaterThan(0);
    expect(ledger.ends.size).toBeGreaterThan(2);
    expect(ledger.checks.get('replay')).toBeGreaterThan(10);
  },
  120_000,
);
