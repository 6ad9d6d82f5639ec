/**
 * Runs small graphs on the CPU and on another device, and prints the outputs and the provider of each
 * operator as JSON. Runs as a separate process, because a process looks up its Vulkan driver when it starts.
 *
 * node graphs-on-device.mjs <device> <folder for profiles> [<options of the provider> <runs>] < cases.json
 *
 * A case: `model` (base64), `inputs` and `outputs` `{ name, type, shape, data }`. An output with `inPlaceOf`
 * uses the memory of that input. `folder`: the folder of the weights. The options are JSON, for WebGPU.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { deviceNamed } from '../../dist/engine/devices/registry.js';
import { viewMemory } from '../../dist/engine/ffi.js';
import { loadOrt } from '../../dist/engine/ort/api.js';
import { Tensors } from '../../dist/engine/ort/tensors.js';
import { libraryPath } from '../../dist/model/runtime-library.js';

const [device, folder, optionsText = '{}', runs = '1'] = process.argv.slice(2);
const options = JSON.parse(optionsText);
const cases = JSON.parse(readFileSync(0, 'utf8'));
const api = loadOrt(libraryPath());
const env = api.createEnv(3, 'graphs');
const VIEWS = { 1: Float32Array, 2: Uint8Array, 6: Int32Array, 7: BigInt64Array, 10: Uint16Array };
const FOLDER_OF_WEIGHTS = 'session.model_external_initializers_file_folder_path';

function appendProvider(name, sessionOptions) {
  const keys = Object.keys(options);
  if (name !== 'webgpu' || keys.length === 0)
    deviceNamed(name).appendProvider(api, sessionOptions, { free: undefined, grows: false });
  else api.appendProvider(sessionOptions, 'WebGPU', keys, Object.values(options), keys.length);
}

function run({ model, inputs, outputs, folder: weights }, name, index) {
  const tensors = new Tensors(api);
  const prefix = `${name}-${index}-`;
  try {
    const sessionOptions = tensors.own(api.createSessionOptions(), api.releaseSessionOptions);
    api.enableProfiling(sessionOptions, join(folder, prefix));
    if (weights) api.addSessionConfigEntry(sessionOptions, FOLDER_OF_WEIGHTS, weights);
    appendProvider(name, sessionOptions);
    const bytes = Buffer.from(model, 'base64');
    const session = api.createSessionFromArray(env, bytes, bytes.length, sessionOptions);
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
    for (let left = Number(runs); left > 0; left--) api.runWithBinding(session, runOptions, binding);
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

const results = cases.map((one, index) => {
  const cpu = run(one, 'cpu', index);
  return { cpu, device: device === 'cpu' ? cpu : run(one, device, index) };
});
process.stdout.write(JSON.stringify(results));
