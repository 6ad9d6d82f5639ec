/** A session keeps its memory while it is open, and releases it when it is closed or refused. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Engine } from '../../../src/engine/engine.ts';
import { Bench, logitsOf, onCpu, openSession, options, prompt } from '../harness.ts';
import { modelWithInput } from './model-with-input.ts';

const nothing = (): void => undefined;
const refused = (change: Partial<typeof options>) => () => Engine.open({ ...options, ...change }, nothing);
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'engine-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('a session', () => {
  it('keeps its memory and its library through garbage collections', () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const session = openSession();
    const before = logitsOf(session, prompt(20));
    for (let run = 0; run < 20; run++) {
      collect();
      expect(logitsOf(session, prompt(20))).toEqual(before);
    }
    session.close();
  });

  it('releases its memory: opened and closed 20 times', async () => {
    const size = { slots: 8, context: 512 };
    const rounds = async (count: number): Promise<number> => {
      for (let round = 0; round < count; round++) {
        const bench = new Bench(size);
        await bench.run({ maxTokens: 4 });
        bench.engine.close();
      }
      return process.memoryUsage.rss();
    };
    const before = await rounds(3);
    // A model and its cache are 12 MB, 20 of them 240 MB.
    expect((await rounds(20)) - before).toBeLessThan(60e6);
  });

  it('releases everything when the model is refused', () => {
    const file = modelWithInput(folder, 'mystery');
    const round = (): number => {
      for (let index = 0; index < 10; index++) expect(refused(onCpu(file))).toThrow('mystery');
      return process.memoryUsage.rss();
    };
    const before = round();
    expect(round() - before).toBeLessThan(30e6);
  });
});
