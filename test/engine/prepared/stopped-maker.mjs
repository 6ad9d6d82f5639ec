/** Opens an engine, and stops for ever when it begins to save weights. Reports the stop to its parent. */
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Engine } from '../../../dist/engine/engine.js';

const options = JSON.parse(process.argv[2]);
const { folder } = options.weightsCache;

Engine.open(options, (message) => {
  if (message.kind !== 'weights' || message.progress.state !== 'saving') return;
  const [key] = readdirSync(folder).filter((name) => !name.includes('.'));
  writeFileSync(join(folder, key, 'weights.bin'), 'a part');
  process.send('stopped', () => undefined);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
});
