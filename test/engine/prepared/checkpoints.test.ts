/** Random checkpoints of all families with saved weights: the ids are those of the reference. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { Engine } from '../../../src/engine/engine.ts';
import { candidateOf } from '../../support/checkpoints/candidate.ts';
import { differenceFrom } from '../../support/checkpoints/continuations.ts';
import { writeCheckpoint } from '../../support/checkpoints/folder.ts';
import { CHECKPOINTS, CONTEXT } from '../../support/checkpoints/models.ts';
import { Bench, options } from '../harness.ts';

const root = mkdtempSync(join(tmpdir(), 'saved-checkpoints-'));
afterAll(() => rmSync(root, { recursive: true }));

/** The weights of experts are integers, which are never saved in another order. */
const OF_FLOATS = CHECKPOINTS.filter(
  ({ config: { num_experts, num_local_experts } }) => !num_experts && !num_local_experts,
);

describe.runIf(process.platform === 'linux').each(OF_FLOATS.map((model) => [model.name, model] as const))(
  'saved weights of %s',
  (_, model) => {
    test('give the ids of the reference', async () => {
      const folder = join(root, model.name);
      writeCheckpoint(folder, model);
      const weightsCache = { folder: join(root, 'weights'), leastBytes: 1 };
      const given = { candidates: [await candidateOf(folder, 'cpu', CONTEXT)], context: CONTEXT, weightsCache };
      const states: string[] = [];
      Engine.open({ ...options, ...given }, (message) => {
        if (message.kind === 'weights') states.push(message.progress.state);
      }).close();
      expect(states).toEqual(['saving', 'saved', 'mapped']);
      const bench = new Bench({ ...given, slots: 4 });
      const found = await Promise.all(
        model.continuations.map(async (one) => {
          const { tokens } = await bench.run({ prompt: one.prompt, maxTokens: one.ids.length, logprobs: 0 });
          return differenceFrom(one, tokens);
        }),
      );
      bench.engine.close();
      expect(found.filter((one) => one !== undefined)).toEqual([]);
    });
  },
);
