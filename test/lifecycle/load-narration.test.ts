/** The narration of a load: a device that would compute wrong text is skipped with a warning. */
import { expect, test } from 'vitest';
import { narrateLoad } from '../../src/lifecycle/load-narration.ts';
import type { ModelFiles } from '../../src/model/locate.ts';
import { capture } from '../../src/narration/narrate.ts';
import type { Reason } from '../../src/protocol/reasons.ts';

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
