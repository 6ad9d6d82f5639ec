/**
 * Grows, copies and releases rows of the KV cache on WebGPU, and prints the outcome as JSON. Runs as a
 * separate process, because a process looks up its Vulkan driver when it starts.
 *
 * node rows-on-device.mjs <model.onnx>
 */
import { deviceNamed } from '../../dist/engine/devices/registry.js';
import { loadOrt, OrtError } from '../../dist/engine/ort/api.js';
import { readModel } from '../../dist/engine/ort/model-file.js';
import { Session } from '../../dist/engine/ort/session.js';
import { libraryPath } from '../../dist/model/runtime-library.js';

const [file] = process.argv.slice(2);
/** SwiftShader's attention is incorrect in longer runs. */
const CHUNK = 16;
const [ROWS, SLOTS, CAPACITY] = [4, 3, 500];
const PROMPT = Array.from({ length: 300 }, (_, index) => (index === 0 ? 0 : 5 + ((index * 37) % 900)));

const api = { ...loadOrt(libraryPath()) };
const { createTensor, releaseValue } = api;
/** Tensors that the session holds; and the number of allocations until one fails. */
const held = new Set();
let untilFailure = Number.POSITIVE_INFINITY;
api.createTensor = (...args) => {
  untilFailure -= 1;
  if (untilFailure < 0) throw new OrtError('createTensor', 1, 'failed to create GPU buffer');
  const value = createTensor(...args);
  held.add(value);
  return value;
};
api.releaseValue = (value) => {
  held.delete(value);
  releaseValue(value);
};

function open(device) {
  const session = Session.open(api, readModel(file), deviceNamed(device));
  session.reserve({ rows: ROWS, slots: SLOTS, capacity: CAPACITY, chunk: CHUNK, keep: 1 });
  return session;
}

/** Appends ids to a row that holds `from` tokens. Returns the logits after the last one. */
function append(session, row, ids, from = 0) {
  let written = 0;
  for (let start = 0; start < ids.length; start += CHUNK) {
    const chunk = ids.slice(start, start + CHUNK);
    for (const [index, id] of chunk.entries()) session.ids[index] = BigInt(id);
    const lengths = [from + start + chunk.length];
    written = session.run({ rows: { first: row, count: 1 }, lengths, tokens: chunk.length, logitsAt: 0, keep: 1 });
  }
  const { vocabSize } = session.signature;
  return [...session.logits.slice((written - 1) * vocabSize, written * vocabSize)];
}

const cpu = open('cpu');
const expected = append(cpu, 0, PROMPT);
const session = open('webgpu');
const sizes = [0, 1, 256, 257, CAPACITY].map((tokens) => session.bytesFor(tokens));
const beginning = held.size;
const outcome = { growth: session.growth, copiesRows: session.copiesRows, sizes, expected };

// The row begins with 256 tokens and grows to 500 at the 257th.
append(session, 0, PROMPT.slice(0, 200));
outcome.small = session.releaseRow(0, 200);
outcome.grown = append(session, 0, PROMPT.slice(200), 200);
outcome.large = session.releaseRow(0, 300);
outcome.tensors = held.size - beginning;

// A prefix goes to a row that only stores, and from there to a slot, with another size each time.
session.copyRow(0, ROWS - 1, 160);
outcome.stored = session.releaseRow(ROWS - 1, 160);
session.copyRow(ROWS - 1, 1, 160);
outcome.copied = append(session, 1, PROMPT.slice(160), 160);
session.copyRow(0, 2, 299);
outcome.whole = append(session, 2, PROMPT.slice(299), 299);

// Without memory, a row keeps its content.
session.releaseRow(1, 0);
append(session, 1, PROMPT.slice(0, 250));
untilFailure = 3;
try {
  append(session, 1, PROMPT.slice(250, 266), 250);
} catch (error) {
  outcome.failure = error.message;
}
untilFailure = 3;
try {
  session.copyRow(0, 1, 299);
} catch (error) {
  outcome.copyFailure = error.message;
}
untilFailure = Number.POSITIVE_INFINITY;
outcome.kept = session.releaseRow(1, 250);
outcome.afterFailure = append(session, 1, PROMPT.slice(250), 250);

outcome.released = Array.from({ length: ROWS }, (_, row) => session.releaseRow(row, 0));
// The numbers of the copier stay.
outcome.left = held.size - beginning;
outcome.again = append(session, 0, PROMPT);
session.close();
cpu.close();
process.stdout.write(JSON.stringify(outcome));
