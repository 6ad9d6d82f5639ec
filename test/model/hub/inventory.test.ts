/** The inventory of a hub cache that holds more than a machine can read at once. */
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readInventory } from '../../../src/model/hub/inventory/inventory.ts';
import { withOpenFiles } from '../../support/open-files.ts';
import { CONFIG } from '../folders.ts';

const REVISIONS = 300;

test.runIf(process.platform === 'linux')('reads the revisions of a repository one after the other', async () => {
  const cache = await mkdtemp(join(tmpdir(), 'inventory-'));
  for (let revision = 0; revision < REVISIONS; revision++) {
    const folder = join(cache, 'models--org--name/snapshots', revision.toString(16).padStart(40, '0'));
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'config.json'), JSON.stringify(CONFIG));
    await writeFile(join(folder, 'model.safetensors'), 'no checkpoint');
  }
  const { result, most } = await withOpenFiles(() => readInventory(cache));
  expect(result).toHaveLength(REVISIONS);
  for (const { problem } of result) expect(problem).toMatch(/^model\.safetensors is cut off/);
  expect(most).toBeLessThan(50);
});
