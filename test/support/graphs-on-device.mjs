/**
 * Runs small graphs on the CPU and on another device, and prints the outputs and the provider of each
 * operator as JSON. Runs as a separate process, because a process looks up its Vulkan driver when it starts.
 *
 * node graphs-on-device.mjs <device> <folder for profiles> < cases.json
 *
 * A case: `model` (base64), `inputs` and `outputs` `{ name, type, shape, data }`. An output with `inPlaceOf`
 * uses the memory of that input.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { deviceNamed } from '../../dist/engine/devices/registry.js';
import { viewMemory } from '../../dist/engine/ffi.js';
import { loadOrt } from '../../dist/engine/ort/api.js';
import { Tensors } from '../../dist/engine/ort/tensors.js';
import { libraryPath } from '../../dist/model/runtime-library.js';

const [device, folder] = process.argv.slice(2);
const cases = JSON.parse(readFileSync(0, 'utf8'));
const api = loadOrt(libraryPath());
const env = api.createEnv(3, 'graphs');
const VIEWS = { 1: Float32Array, 2: Uint8Array, 6: Int32Array, 7: BigInt64Array };

function run({ model, inputs, outputs }, name, index) {
  const tensors = new Tensors(api);
  const prefix = `${name}-${index}-`;
  try {
    const options = tensors.own(api.createSessionOptions(), api.releaseSessionOptions);
    api.enableProfiling(options, join(folder, prefix));
    deviceNamed(name).appendProvider(api, options, { free: undefined, grows: false });
    const bytes = Buffer.from(model, 'base64');
    const session = api.createSessionFromArray(env, bytes, bytes.length, options);
    const info = api.createCpuMemoryInfo(1, 0);
    const allocator = api.getAllocatorWithDefaultOptions();
    const binding = api.createIoBinding(session);
    const memories = new Map();
    const memoryOf = ({ name: tensor, type, shape, data, inPlaceOf }) => {
      const memory = memories.get(inPlaceOf) ?? tensors.allocate(allocator, type, shape);
      memories.set(tensor, memory);
      const View = VIEWS[type];
      const view = new View(viewMemory(memory.pointer, memory.bytes));
      if (data) view.set(type === 7 ? data.map(BigInt) : data);
      return { memory, view };
    };
    for (const input of inputs) {
      const { memory } = memoryOf(input);
      tensors.bind(binding, api.bindInput, { ...input, ...memory, memoryInfo: info }, input.shape);
    }
    const read = outputs.map((output) => {
      const { memory, view } = memoryOf(output);
      tensors.bind(binding, api.bindOutput, { ...output, ...memory, memoryInfo: info }, output.shape);
      return view;
    });
    const runOptions = api.createRunOptions();
    api.runWithBinding(session, runOptions, binding);
    const values = read.map((view) => [...view].map(Number));
    api.releaseIoBinding(binding);
    api.releaseSession(session);
    const profile = readdirSync(folder).find((file) => file.startsWith(prefix));
    const events = JSON.parse(readFileSync(join(folder, profile), 'utf8'));
    const nodes = events.filter(({ cat, name: event }) => cat === 'Node' && event.endsWith('_kernel_time'));
    const providers = nodes.map(({ args }) => [args.op_name, args.provider.replace('ExecutionProvider', '')]);
    return { values, providers };
  } catch (error) {
    return { error: error.message };
  } finally {
    tensors.release();
  }
}

const results = cases.map((one, index) => ({ cpu: run(one, 'cpu', index), device: run(one, device, index) }));
process.stdout.write(JSON.stringify(results));
