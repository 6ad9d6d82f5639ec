/**
 * The suites. `npm test` runs `unit`, `stateful` and `e2e`; a file whose name ends in `.webgpu.test.ts`,
 * `.pages.test.ts`, `.runtimes.test.ts`, `.tokenizers.test.ts`, `.agents.test.ts`, `.deploy.test.ts` or
 * `.long.test.ts` belongs to the npm script of that name.
 */
import { defineConfig } from 'vitest/config';

const EXTRA = ['webgpu', 'pages', 'runtimes', 'tokenizers', 'agents', 'deploy', 'long'] as const;
const extra = (name: (typeof EXTRA)[number]): string => `test/**/*.${name}.test.ts`;
const E2E = 'test/e2e/**/*.test.ts';
/** Files whose subject keeps state in a module, or that replace one: each gets modules of its own. */
const STATEFUL = ['test/narration/**/*.test.ts', 'test/bridge/vocabulary.test.ts'];
/** Tables of random inputs (test/support/sample.ts): `npm test` runs a part, the long suite all of them. */
const SAMPLED = [
  'test/e2e/api/malformed.test.ts',
  'test/e2e/api/random-bodies.test.ts',
  'test/e2e/streams/isolation.test.ts',
  'test/engine/drafts/prompt-lookup.test.ts',
  'test/engine/sampling/candidates.test.ts',
  'test/grammar/regular/pattern.test.ts',
  'test/model/random-configs.test.ts',
  'test/onnx/model-bytes.test.ts',
  'test/text/output/detokenizer.test.ts',
  'test/text/tokenizer/reference.test.ts',
  'test/text/tokenizer/word-models.test.ts',
];

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
    // Two cores: some files wait for real processes while the others compute. Every process loads the modules.
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
      ...(['webgpu', 'pages', 'runtimes', 'tokenizers', 'agents', 'deploy'] as const).map((name) => ({
        test: { ...shared, name, include: [extra(name)] },
      })),
      {
        test: {
          ...shared,
          name: 'long',
          include: [extra('long'), ...SAMPLED],
          env: { LONG_TESTS: '1' },
          isolate: false,
        },
      },
    ],
  },
});
