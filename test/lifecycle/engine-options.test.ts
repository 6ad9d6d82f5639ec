/** The settings that the worker passes to the engine, and what the engine reports on the CPU. */
import { expect, test } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { Engine } from '../../src/engine/engine.ts';
import { engineOptions } from '../../src/lifecycle/load-model.ts';
import { narrateGpuGraph } from '../../src/lifecycle/load-narration.ts';
import { embeddedModel } from '../../src/model/folder.ts';
import { locateModel } from '../../src/model/locate.ts';
import { readSpec } from '../../src/model/spec.ts';
import { capture } from '../../src/narration/narrate.ts';

test.each(['off', 'eager', 'captured'] as const)(
  '--gpu-graph %s reaches the engine, and changes nothing on the CPU',
  async (mode) => {
    const files = await locateModel(embeddedModel());
    const options = engineOptions(readConfig(['--slots', '1', '--gpu-graph', mode], {}), files, await readSpec(files));
    expect(options.gpuGraph).toBe(mode);
    const engine = Engine.open(options, () => undefined);
    engine.close();
    expect(engine.facts.device).toBe('cpu');
    expect(engine.facts.gpuGraph?.mode ?? 'off').toBe('off');
    const { narrations } = await capture(() => narrateGpuGraph(engine.facts, mode));
    expect(narrations).toEqual([]);
  },
);
