/**
 * The narration of a load: a device that would compute wrong text is skipped with a warning, and a GPU that
 * decodes with less than the setting asks for is reported.
 */
import { expect, test } from 'vitest';
import { narrateGpuGraph, narrateLoad, narrateWarmup } from '../../src/lifecycle/load-narration.ts';
import type { ModelFiles } from '../../src/model/locate.ts';
import { capture } from '../../src/narration/narrate.ts';
import type { EngineFacts } from '../../src/protocol/loading.ts';
import type { GpuGraphLimit, Reason } from '../../src/protocol/reasons.ts';

const FILES: Pick<ModelFiles, 'choices' | 'dtypes'> = { choices: [], dtypes: [] };

const skipped: readonly (readonly [Reason, string])[] = [
  [
    { code: 'operator_ignores', operator: 'GroupQueryAttention', attribute: 'softcap', value: 50 },
    'Device manager falls back from webgpu to cpu: use --device cpu or cuda: GroupQueryAttention of this device ignores softcap=50 of the model',
  ],
  [
    { code: 'computes_wrong', difference: 1.05, comparedWith: 'cpu' },
    'Device manager falls back from webgpu to cpu: update the driver, or use --device cpu: the logits of the device and of the CPU differ by 105 %',
  ],
];

test.each(skipped)('%o is narrated in full, with its remedy first', async (reason, human) => {
  const { narrations } = await capture(() =>
    narrateLoad({ kind: 'fallback', device: 'webgpu', next: 'cpu', reason }, 'haiku', FILES as ModelFiles),
  );
  expect(narrations).toEqual([expect.objectContaining({ event: 'device.fallback', level: 'WARN', human })]);
});

const FACTS: EngineFacts = {
  runtimeVersion: '1.30.0',
  device: 'webgpu',
  threads: { count: 2, reason: 'cores' },
  slots: 4,
  rows: 8,
  context: 512,
  cacheUpdate: 'in_place',
  vocabSize: 1024,
  idLimit: 1024,
  cacheBytes: 4096,
  cacheBudgetBytes: 4096,
  cacheBytesPerToken: 8,
  deviceBytes: 4096,
  prefillChunk: 16,
  speculation: false,
  warmupMs: 41,
};

/** Every limit: `satisfies` completes the list. */
const LIMITS = {
  growing_cache: 'each run makes a longer cache',
  no_capture: 'the device does not record runs',
  no_copies: 'the device copies only within a run',
  window: 'recorded runs ignore the sliding window',
  host_nodes: 'the host computes a part of the model',
  computes_wrong: 'the check of its steps found wrong logits',
  fails: 'the runtime or the driver failed',
  memory: 'too little memory for all rows; lower --slots',
} satisfies Record<GpuGraphLimit, string>;

test.each(Object.entries(LIMITS) as [GpuGraphLimit, string][])(
  'a GPU that decodes with less than asked is reported in one short sentence: %s',
  async (reason, text) => {
    const { narrations } = await capture(() => {
      narrateGpuGraph({ ...FACTS, gpuGraph: { mode: 'eager', reason } }, 'captured');
      narrateGpuGraph({ ...FACTS, gpuGraph: { mode: 'off', reason } }, 'captured');
    });
    const expected = { event: 'gpu_graph.limited', level: 'WARN', gpu_graph_asked: 'captured', reason: text };
    expect(narrations).toEqual([
      expect.objectContaining({
        ...expected,
        gpu_graph: 'eager',
        human: `Engine decodes with --gpu-graph eager, not captured: ${text}`,
      }),
      expect.objectContaining({ ...expected, gpu_graph: 'off' }),
    ]);
    for (const { human } of narrations) expect(human.length).toBeLessThanOrEqual(100);
  },
);

test('the message of the runtime about a limit is a field of its own', async () => {
  const limited = { mode: 'eager', reason: 'fails', detail: 'CUDA failure 719' } as const;
  const { narrations } = await capture(() => narrateGpuGraph({ ...FACTS, gpuGraph: limited }, 'captured'));
  expect(narrations).toEqual([
    expect.objectContaining({ reason: 'the runtime or the driver failed', gpu_graph_detail: 'CUDA failure 719' }),
  ]);
});

test('nothing is reported if the GPU does as asked, or if the CPU is the only device', async () => {
  const { narrations } = await capture(() => {
    narrateGpuGraph(FACTS, 'off');
    narrateGpuGraph({ ...FACTS, gpuGraph: { mode: 'captured' } }, 'captured');
    narrateGpuGraph({ ...FACTS, device: 'cpu', gpuGraph: { mode: 'off' } }, 'captured');
  });
  expect(narrations).toEqual([]);
});

test.each([
  [undefined, undefined],
  ['off', undefined],
  ['eager', 'eager'],
  ['captured', 'captured'],
] as const)('the warm-up of a GPU that decodes with %s has the field gpu_graph: %s', async (mode, field) => {
  const facts = mode === undefined ? FACTS : { ...FACTS, gpuGraph: { mode } };
  const { narrations } = await capture(() => narrateWarmup(facts, 1, false));
  expect(narrations.map(({ gpu_graph }) => gpu_graph)).toEqual([field]);
});
