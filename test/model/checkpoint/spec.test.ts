/** The facts of a model whose folder has a checkpoint and files for an ONNX graph. */
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { locateModel } from '../../../src/model/locate.ts';
import { readSpec } from '../../../src/model/spec.ts';
import { writeCheckpoint } from '../../support/checkpoints/folder.ts';
import { checkpointNamed } from '../../support/checkpoints/models.ts';

const root = mkdtempSync(join(tmpdir(), 'checkpoint-spec-'));
afterAll(() => rmSync(root, { recursive: true }));

it('a checkpoint does not take the names of inputs and outputs in genai_config.json', async () => {
  const folder = join(root, 'renamed');
  writeCheckpoint(folder, checkpointNamed('llama-2'));
  const renamed = fileURLToPath(new URL('../../models/renamed/', import.meta.url));
  copyFileSync(join(renamed, 'genai_config.json'), join(folder, 'genai_config.json'));
  expect((await readSpec(await locateModel(folder))).names).toEqual({});
  copyFileSync(join(renamed, 'model.onnx'), join(folder, 'model.onnx'));
  expect((await readSpec(await locateModel(folder))).names).not.toEqual({});
});
