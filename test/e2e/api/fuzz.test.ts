/**
 * Clients that read, stall, leave, return and cancel, in the midst of kills of the engine and a stop: whatever they do, every invariant of
 * test/soak/ledger.ts holds. A few seconds of what `npm run soak` does for long.
 */
import { beforeAll, expect, test } from 'vitest';
import { Ledger } from '../../soak/ledger.ts';
import { learnTexts, live } from '../../soak/life.ts';

/** One seed for all; another with FC_SEED. */
const SEED = Number(process.env['FC_SEED'] ?? 575);

let texts: readonly string[];
beforeAll(async () => {
  texts = await learnTexts();
});

test.each([
  [SEED, 1],
  [SEED + 1, 2],
])(
  'seed %i, with %i kills of the engine',
  async (seed, kills) => {
    const ledger = new Ledger();
    await live({ seed, clients: 40, spreadMs: 1500, kills }, texts, ledger);
    expect(ledger.violations).toEqual([]);
    // The waves were what they are meant to be: some ended well, some were ended, some were read twice.
    expect(ledger.ends.get('end')).toBeGreaterThan(0);
    expect(ledger.ends.size).toBeGreaterThan(2);
    expect(ledger.checks.get('replay')).toBeGreaterThan(10);
  },
  120_000,
);
