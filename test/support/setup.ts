/** Runs in every test file: seeds random tests, and ends the processes that the file has started. */
import fc from 'fast-check';
import { afterAll } from 'vitest';
import { killAll } from './processes.ts';

/** One seed for all properties. FC_SEED=<number> sets another. */
fc.configureGlobal({ seed: Number(process.env['FC_SEED'] ?? 575) });
afterAll(killAll);
