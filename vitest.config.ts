/**
 * The suites. `npm test` runs `unit`, `stateful` and `e2e`; a file whose name ends in `.webgpu.test.ts` or
 * `.tokenizers.test.ts` belongs to the npm script of that name.
 */
import { defineConfig } from 'vitest/config';

const EXTRA = ['webgpu', 'tokenizers'] as const;
const extra = (name: (typeof EXTRA)[number]): string => `test/**/*.${name}.test.ts`;
const E2E = 'test/e2e/**/*.test.ts';
/** Files whose subject keeps state in a module: each gets modules of its own. */
const STATEFUL = ['test/narration/**/*.test.ts'];

const shared = {
  setupFiles: ['test/support/setup.ts'],
  // A time-out is a ceiling for a machine under load, not a benchmark.
  testTimeout: 120_000,
  hookTimeout: 120_000,
  expect: { poll: { timeout: 60_000, interval: 20 } },
  pool: 'forks' as const,
};

export default defineConfig({
  test: {
    globalSetup: ['test/support/build.ts'],
    // Two cores: half of the files wait for time-outs of real processes while the others compute.
    maxWorkers: 4,
    projects: [
      {
        test: {
          ...shared,
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [E2E, ...STATEFUL, ...EXTRA.map(extra)],
          // Loading the modules again for every file took 47 of 127 CPU seconds.
          isolate: false,
        },
      },
      { test: { ...shared, name: 'stateful', include: STATEFUL, exclude: EXTRA.map(extra) } },
      { test: { ...shared, name: 'e2e', include: [E2E], exclude: EXTRA.map(extra), isolate: false } },
      ...EXTRA.map((name) => ({ test: { ...shared, name, include: [extra(name)] } })),
    ],
  },
});
