/**
 * Runs as a process of its own, since a driver of Vulkan is looked up when a process starts: decodes one
 * token on WebGPU at each of some lengths of the context, behind a prompt that was really read, and prints
 * what the runtime's profile says of those runs, and where the tensors lay that were bound to them: what
 * crosses at the edges of a run is not in the profile.
 *
 *   node decode-profiled.mjs <model.onnx> <folder for the profile> <length>…
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { deviceNamed } from '../../dist/engine/devices/device.js';
import { loadOrt } from '../../dist/engine/ort/api.js';
import { readModel } from '../../dist/engine/ort/model-file.js';
import { Session } from '../../dist/engine/ort/session.js';
import { libraryPath } from '../../dist/model/runtime-library.js';

const [file, folder, ...lengths] = process.argv.slice(2);
const CHUNK = 128;

const model = readModel(file);
const api = { ...loadOrt(libraryPath()) };
const { createMemoryInfo, createTensorWithData } = api;
const [deviceMemory, values, bound] = [new Set(), new Map(), new Map()];
api.createMemoryInfo = (...args) => {
  const info = createMemoryInfo(...args);
  deviceMemory.add(info);
  return info;
};
api.createTensorWithData = (info, pointer, bytes, ...rest) => {
  const value = createTensorWithData(info, pointer, bytes, ...rest);
  values.set(value, { bytes, onDevice: deviceMemory.has(info) });
  return value;
};
for (const bind of ['bindInput', 'bindOutput']) {
  const original = api[bind];
  api[bind] = (binding, name, value) => {
    bound.set(name, values.get(value));
    original(binding, name, value);
  };
}
const session = Session.open(api, model, deviceNamed('webgpu'), { profiled: { prefix: join(folder, 'run') } });
session.reserve({ rows: 1, capacity: 512, chunk: CHUNK, keep: 1 });
let [runs, length] = [0, 0];
const run = (tokens) => {
  length += tokens;
  session.ids.fill(7n, 0, tokens);
  session.run({ first: 0, count: 1 }, [length], tokens, 0, 1);
  runs += 1;
};
const decodes = lengths.map(Number).map((target) => {
  while (length < target) run(Math.min(CHUNK, target - length));
  run(1);
  return { index: runs - 1, bound: [...bound].map(([name, tensor]) => ({ name, ...tensor })) };
});
const { vocabSize } = session.signature;
const events = JSON.parse(readFileSync(session.endProfile(), 'utf8'));
session.close();

const spans = events.filter(({ name }) => name === 'model_run').sort((a, b) => a.ts - b.ts);
const profiled = decodes.map(({ index, ...more }) => {
  const { ts, dur } = spans[index];
  const within = events.filter((event) => event.ts >= ts && event.ts <= ts + dur);
  return {
    ...more,
    operators: within
      .filter(({ cat, name }) => cat === 'Node' && name.endsWith('_kernel_time'))
      .map(({ args }) => args),
    /** Programs that ran on the GPU, by the shapes of their inputs and outputs. */
    programs: within.filter(({ cat }) => cat === 'Api').map(({ name, args }) => ({ name, shapes: args.shapes })),
  };
});
process.stdout.write(JSON.stringify({ vocabSize, decodes: profiled }));
