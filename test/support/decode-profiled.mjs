/**
 * Decodes one token on WebGPU at each of several lengths of the context, after a prompt that was computed.
 * Prints the runtime's profile of these runs, and the location of the bound tensors: copies before and after
 * a run are not in the profile. Runs as a separate process, because a process looks up its Vulkan driver when
 * it starts.
 *
 * node decode-profiled.mjs <model.onnx | candidate.json> <folder for the profile> <length>…
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { deviceNamed } from '../../dist/engine/devices/registry.js';
import { loadOrt } from '../../dist/engine/ort/api.js';
import { modelOf } from '../../dist/engine/ort/built-model.js';
import { readModel } from '../../dist/engine/ort/model-file.js';
import { Session } from '../../dist/engine/ort/session.js';
import { libraryPath } from '../../dist/model/runtime-library.js';

const [file, folder, ...lengths] = process.argv.slice(2);
const CHUNK = 128;
const CAPACITY = 512;

// A candidate with the description of a decoder, or a model.
const model = file.endsWith('.json')
  ? modelOf(JSON.parse(readFileSync(file, 'utf8')), 'webgpu', { names: {}, context: CAPACITY })
  : readModel(file);
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
const prefix = `run-${process.pid}-`;
const session = Session.open(api, model, deviceNamed('webgpu'), {
  configure: ({ enableProfiling }, options) => enableProfiling(options, join(folder, prefix)),
});
session.reserve({ rows: 1, capacity: CAPACITY, chunk: CHUNK, keep: 1 });
let [runs, length] = [0, 0];
const run = (tokens) => {
  length += tokens;
  session.ids.fill(7n, 0, tokens);
  session.run({ rows: { first: 0, count: 1 }, lengths: [length], tokens, logitsAt: 0, keep: 1 });
  runs += 1;
};
// The row gets its full size first, so that no later run makes it grow.
if (session.truncates) {
  length = CAPACITY - 1;
  run(1);
  length = 0;
}
const decodes = lengths.map(Number).map((target) => {
  while (length < target) run(Math.min(CHUNK, target - length));
  run(1);
  return { index: runs - 1, bound: [...bound].map(([name, tensor]) => ({ name, ...tensor })) };
});
const { vocabSize } = session.signature;
// The runtime writes the profile when the session is released, and appends the time to the prefix.
session.close();
const profile = readdirSync(folder).find((name) => name.startsWith(prefix));
const events = JSON.parse(readFileSync(join(folder, profile), 'utf8'));

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
