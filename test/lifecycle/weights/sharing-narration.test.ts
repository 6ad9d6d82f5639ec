/** The narration of shared weights: its steps, and why an engine has a copy of its own. */
import { expect, test } from 'vitest';
import { narrateSharing } from '../../../src/lifecycle/weights/sharing-narration.ts';
import { capture } from '../../../src/narration/narrate.ts';
import type { WeightsProgress } from '../../../src/protocol/decoder/sharing.ts';

const steps: readonly (readonly [WeightsProgress, string])[] = [
  [
    { state: 'saving', bytes: 1.08e9, expectedMs: 2843 },
    'Engine saves the weights for all workers: at most 1.08 GB of disk, about 2.8 s',
  ],
  [{ state: 'waiting', percent: 25 }, 'Engine waits for weights that another worker saves: 25 % are written'],
  [
    { state: 'saved', diskBytes: 654e6, durationMs: 2910 },
    'Engine saved the weights for all workers in 2.91 s (654 MB)',
  ],
  [{ state: 'queued' }, 'Engine waits for its turn: other workers open their weights'],
  [{ state: 'mapped', bytes: 654e6 }, 'Engine shares 654 MB of weights with all workers of this machine'],
];

test.each(steps)('%o is narrated', async (progress, human) => {
  const { narrations } = await capture(() => narrateSharing('cpu', progress));
  expect(narrations).toEqual([expect.objectContaining({ level: 'INFO', human })]);
});

const reasons: readonly (readonly [Extract<WeightsProgress, { state: 'unshared' }>['reason'], string, string])[] = [
  [
    { code: 'disk_full', needed: 2e9, free: 1e9 },
    'WARN',
    'free some space or set --weights-cache to another disk: saving needs 2.00 GB, and 1.00 GB are free',
  ],
  [
    { code: 'memory_short', needed: 2e9, free: 1e9 },
    'WARN',
    'start one worker with more free memory first: saving needs 2.00 GB of memory for a moment, and 1.00 GB are free',
  ],
  [{ code: 'differs', difference: 1.234 }, 'WARN', 'the saved weights compute other logits (120 %); they were removed'],
  [{ code: 'differs' }, 'WARN', 'the saved weights compute no numbers; they were removed'],
  [
    { code: 'unusable', message: 'the logits of the saved weights differ' },
    'INFO',
    'an earlier attempt failed: the logits of the saved weights differ; rbees-workerd models --prune allows another one',
  ],
  [
    { code: 'failed', message: 'EROFS: read-only file system' },
    'WARN',
    'set --weights-cache to a folder that can be written, or to off: EROFS: read-only file system',
  ],
];

test.each(reasons)('%o is a reason with its remedy', async (reason, level, text) => {
  const { narrations } = await capture(() => narrateSharing('cpu', { state: 'unshared', reason }));
  expect(narrations).toEqual([
    expect.objectContaining({ event: 'weights.unshared', level, error_kind: reason.code, reason: text }),
  ]);
});
