/**
 * Copies tensors between host and WebGPU, and records and releases runs that read the copied tensors. Prints
 * the outcome as JSON. Runs as a separate process, because a process looks up its Vulkan driver when it
 * starts.
 *
 * node transfer-on-device.mjs <round trips>
 */
import { deviceNamed } from '../../dist/engine/devices/registry.js';
import { viewMemory } from '../../dist/engine/ffi.js';
import { loadOrt } from '../../dist/engine/ort/api.js';
import { openTransfer } from '../../dist/engine/ort/gpu/transfer.js';
import { Tensors } from '../../dist/engine/ort/tensors.js';
import { libraryPath } from '../../dist/model/runtime-library.js';
import { FLOAT32, INT32, INT64 } from '../../dist/onnx/types.js';
import { ModelWriter } from '../../dist/onnx/write/model-writer.js';

const ROUNDS = Number(process.argv[2]);
const TYPES = { [INT32]: Int32Array, [INT64]: BigInt64Array, [FLOAT32]: Float32Array };
/** Elements of each type: from 4 bytes to 1 MB. */
const SIZES = [1, 2, 3, 7, 64, 1000, 4097, 131_072];
const CAPTURE = { enableGraphCapture: '1', validationMode: 'disabled' };
const SUM = [FLOAT32, [4]];

const api = loadOrt(libraryPath());
const env = api.createEnv(3, 'transfer');
const webgpu = deviceNamed('webgpu');
const tensors = new Tensors(api);
const info = tensors.own(webgpu.memoryInfo(api), api.releaseMemoryInfo);

/** A session of the sum of two tensors of four floats, whose runs are recorded. */
function openSum() {
  const writer = new ModelWriter();
  const tensor = { type: FLOAT32, shape: [4] };
  for (const name of ['left', 'right']) writer.input(name, tensor);
  writer.node('Add', ['left', 'right'], { outputs: ['sum'] });
  writer.output('sum', tensor);
  const model = writer.finish();
  const options = tensors.own(api.createSessionOptions(), api.releaseSessionOptions);
  const entries = Object.entries(CAPTURE);
  const columns = [0, 1].map((column) => entries.map((entry) => entry[column]));
  api.appendProvider(options, 'WebGPU', ...columns, entries.length);
  return tensors.own(api.createSessionFromArray(env, model, model.length, options), api.releaseSession);
}

const session = openSum();
const onDevice = tensors.own(api.createAllocator(session, info), api.releaseAllocator);
const onHost = api.getAllocatorWithDefaultOptions();

/** A tensor on the host, its view, and a tensor on the device. */
function pairOf(type, shape) {
  const host = tensors.allocate(onHost, type, shape);
  const values = new TYPES[type](viewMemory(host.pointer, host.bytes));
  return { host, device: tensors.allocate(onDevice, type, shape), values };
}

const transfer = openTransfer({ api, env, device: 'webgpu' });
const outcome = {
  offers: [api.offers('copyTensors'), api.offers('releaseCapturedGraph')],
  onCpu: openTransfer({ api, env, device: 'cpu' }) === undefined,
};

// Round trips. The memory of the host is overwritten at once after each copy to the device.
const groups = SIZES.map((elements) => [INT32, INT64, FLOAT32].map((type) => pairOf(Number(type), [elements])));
const numberOf = (round, index, type) => {
  const number = (round * 7919 + index * 104_729) % 1_000_003;
  return type === INT64 ? BigInt(number) * 4_294_967_311n : number;
};
const resident = () => {
  globalThis.gc();
  return process.memoryUsage.rss();
};
let [wrong, bytes] = [0, 0];
function roundTrip(round) {
  const pairs = groups[round % groups.length];
  const ends = (values) => [0, values.length >> 1, values.length - 1];
  const types = [INT32, INT64, FLOAT32].map(Number);
  for (const [at, { values }] of pairs.entries())
    for (const index of ends(values)) values[index] = numberOf(round, index, types[at]);
  transfer.toDevice(pairs);
  for (const { values } of pairs) values.fill(values.constructor === BigInt64Array ? -1n : -1);
  transfer.toHost(pairs);
  for (const [at, { values, host }] of pairs.entries()) {
    bytes += 2 * host.bytes;
    for (const index of ends(values)) if (values[index] !== numberOf(round, index, types[at])) wrong += 1;
  }
}
const began = performance.now();
// Buffers for the copies are made in the first rounds and used again.
const warm = Math.floor(ROUNDS / 10);
for (let round = 0; round < warm; round++) roundTrip(round);
const before = resident();
for (let round = warm; round < ROUNDS; round++) roundTrip(round);
Object.assign(outcome, { wrong, bytes, grown: resident() - before, milliseconds: performance.now() - began });

// All elements of the largest tensors.
const whole = groups.at(-1);
for (const { values } of whole)
  for (let index = 0; index < values.length; index++)
    values[index] = values instanceof BigInt64Array ? BigInt(index) - 2n ** 62n : index - 65_536;
const sent = whole.map(({ values }) => values.slice());
transfer.toDevice(whole);
for (const { values } of whole) values.fill(values instanceof BigInt64Array ? 0n : 0);
transfer.toHost(whole);
outcome.wholeEqual = whole.every(({ values }, at) => values.every((value, index) => value === sent[at][index]));

// Nothing to copy, and tensors that do not fit.
transfer.toDevice([]);
const failureOf = (copy) => {
  try {
    copy();
    return 'copied';
  } catch (error) {
    return { name: error.name, call: error.call, code: error.code, message: error.message };
  }
};
const [[one], [two]] = groups;
const mixed = { host: one.host, device: two.device };
outcome.otherSize = failureOf(() => transfer.toDevice([one, mixed]));
outcome.otherSizeBack = failureOf(() => transfer.toHost([one, mixed]));
outcome.noTensors = failureOf(() => api.copyTensors(env, new BigUint64Array(0), new BigUint64Array(0), 0n, 0));

// Recorded runs read the tensors that were bound when the run was recorded.
const [left, right, sum, otherSum] = [1, 2, 3, 4].map(() => pairOf(...SUM));
const binding = tensors.own(api.createIoBinding(session), api.releaseIoBinding);
const bind = (call, name, { device }) => call(binding, name, device.value);
bind(api.bindInput, 'left', left);
bind(api.bindInput, 'right', right);
bind(api.bindOutput, 'sum', sum);
function add(graph, a, b) {
  const options = api.createRunOptions();
  api.addRunConfigEntry(options, 'gpu_graph_id', String(graph));
  left.values.fill(a);
  right.values.fill(b);
  transfer.toDevice([left, right]);
  api.runWithBinding(session, options, binding);
  api.releaseRunOptions(options);
  transfer.toHost([sum, otherSum]);
  return [sum.values[3], otherSum.values[3]];
}
outcome.eager = add(-1, 1, 2);
outcome.recorded = add(1, 3, 4);
// Only a run that is not replayed writes to the other output.
bind(api.bindOutput, 'sum', otherSum);
outcome.replayed = [add(1, 5, 6), add(1, 7, 8)];
api.releaseCapturedGraph(session, 1);
outcome.recordedAgain = [add(1, 9, 10), add(1, 11, 12)];
bind(api.bindOutput, 'sum', sum);
outcome.replayedAgain = add(1, 13, 14);
outcome.noKey = failureOf(() => {
  const options = tensors.own(api.createRunOptions(), api.releaseRunOptions);
  api.addRunConfigEntry(options, '', '1');
});
// A number without a recorded run, and one whose run is released already.
for (const graph of [77, 1, 1]) api.releaseCapturedGraph(session, graph);

// Runs are recorded and released.
let lost = 0;
const record = (round) => {
  const [first] = add(round, round, 1);
  if (first !== round + 1) lost += 1;
  api.releaseCapturedGraph(session, round);
};
for (let round = 1; round <= warm; round++) record(round);
const beforeRecording = resident();
for (let round = warm + 1; round <= ROUNDS; round++) record(round);
Object.assign(outcome, { lost, grownByRecording: resident() - beforeRecording });

transfer.close();
tensors.release();
api.releaseEnv(env);
process.stdout.write(JSON.stringify(outcome));
