/**
 * Steps of decoding on WebGPU, with faults that are forced, and prints the outcome as JSON. Runs as a separate
 * process, because a process looks up its Vulkan driver when it starts.
 *
 * node --expose-gc steps-on-device.mjs <candidate.json> eager|captured operations <count> <seed> [<slots>]
 * node --expose-gc steps-on-device.mjs <candidate.json> captured keys|captures <count>
 * node --expose-gc steps-on-device.mjs <candidate.json> eager|captured memory|leftovers
 * node --expose-gc steps-on-device.mjs <candidate.json> captured check
 */
import { readFileSync } from 'node:fs';
import { deviceNamed } from '../../dist/engine/devices/registry.js';
import { checkSteps } from '../../dist/engine/load/gpu/step-check.js';
import { loadOrt, OrtError } from '../../dist/engine/ort/api.js';
import { modelOf } from '../../dist/engine/ort/built-model.js';
import { CacheInBatch } from '../../dist/engine/ort/cache/in-batch.js';
import { Session } from '../../dist/engine/ort/session.js';
import { libraryPath } from '../../dist/model/runtime-library.js';

const [file, mode, scenario, count = '0', seed = '1', slots = '6'] = process.argv.slice(2);
const candidate = JSON.parse(readFileSync(file, 'utf8'));
const [SLOTS, CAPACITY, CHUNK] = [Number(slots), 48, 8];

/** Objects of the runtime that are not released, by the name of the call that made them. */
const held = new Map();
const api = { ...loadOrt(libraryPath()) };
for (const [name, call] of Object.entries(api)) {
  if (name.startsWith('create'))
    api[name] = (...args) => {
      const made = call(...args);
      held.set(made, name);
      return made;
    };
  if (name.startsWith('release') && name !== 'releaseCapturedGraph')
    api[name] = (object) => {
      held.delete(object);
      return call(object);
    };
}
/**
 * Calls until one fails, and if that one has an effect first; the number of calls that fail, one after
 * another.
 */
let [untilFault, isLate, failing] = [Number.POSITIVE_INFINITY, false, 1];
let faults = 0;
/** Calls that can fail. Only the first two can fail after their effect: the others would leave an object. */
for (const name of ['runWithBinding', 'copyTensors', 'bindInput', 'createIoBinding', 'createRunOptions']) {
  const call = api[name];
  const hasEffect = name === 'runWithBinding' || name === 'copyTensors';
  api[name] = (...args) => {
    if (!counts(name)) return call(...args);
    untilFault -= 1;
    if (untilFault >= 0) return call(...args);
    failing -= 1;
    untilFault = failing > 0 ? 0 : Number.POSITIVE_INFINITY;
    faults += 1;
    if (isLate && hasEffect) call(...args);
    throw new OrtError(name, 1, 'forced');
  };
}
const { createTensor } = api;
/** Fails at the next runs of a session. */
const failRuns = (number) => {
  [untilFault, isLate, failing] = [0, false, number];
};
/** The keys are for runs, and the operations for all calls. */
const counts = (name) => scenario === 'operations' || name === 'runWithBinding';
let tensorsLeft = Number.POSITIVE_INFINITY;
api.createTensor = (...args) => {
  tensorsLeft -= 1;
  if (tensorsLeft < 0) throw new OrtError('createTensor', 1, 'failed to create GPU buffer');
  return createTensor(...args);
};

/** Mulberry32: whole numbers below a limit. */
let state = Number(seed);
function random(limit) {
  state = (state + 0x6d2b79f5) | 0;
  let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
}

function open(gpuGraph) {
  const model = modelOf(candidate, 'webgpu', { names: {}, context: CAPACITY, gpuGraph });
  return Session.open(api, model, deviceNamed('webgpu'), { gpuGraph });
}
const CAPACITIES = { rows: SLOTS, capacity: CAPACITY, chunk: CHUNK, keep: 1 };

/** The logits after the last of these ids, appended to a row of `length` tokens by a run. */
function append(session, row, length, ids) {
  for (const [index, id] of ids.entries()) session.ids[index] = BigInt(id);
  const run = { rows: { first: row, count: 1 }, lengths: [length + ids.length], tokens: ids.length };
  return session.logitsAt(session.run({ ...run, logitsAt: 0, keep: 1 }) - 1).slice();
}

/** Root mean square of the difference, relative to the expected logits. */
function difference(logits, expected) {
  const squares = (values) => values.reduce((sum, value) => sum + value * value, 0);
  return Math.sqrt(squares(logits.map((logit, id) => logit - expected[id])) / squares(expected));
}
const isSorted = ({ values, ids }, logits) =>
  values.every((value, index) => value === logits[ids[index]] && !(value > values[Math.max(0, index - 1)]));

/** Random operations on a session with steps, and on one that runs each row alone and never moves it. */
function operations(total) {
  const [session, plain] = [open(mode), open('off')];
  for (const one of [session, plain]) one.reserve(CAPACITIES);
  const lengths = Array.from({ length: SLOTS }, () => 0);
  const outcome = { growths: [session.growth, plain.growth], worst: 0, counts: {}, unsorted: 0, recorded: 0 };
  const rowId = () => random(session.idLimit);
  const compare = (logits, expected, at) => {
    const found = difference(logits, expected);
    if (!(found <= outcome.worst)) Object.assign(outcome, { worst: found, worstAt: at });
  };
  /** Runs an operation, perhaps with a fault before, and again after the fault. */
  const withFaults = (operation, afterFault = () => undefined) => {
    // Early faults are in the moves of rows, and late ones in the runs.
    if (random(5) === 0) [untilFault, isLate, failing] = [random(random(2) === 0 ? 6 : 40), random(2) === 0, 1];
    try {
      operation();
    } catch (error) {
      if (error.message !== 'forced') throw error;
      afterFault();
      operation();
    } finally {
      untilFault = Number.POSITIVE_INFINITY;
    }
  };
  const chosenRows = (most) => {
    const rows = lengths.flatMap((length, row) => (length < most ? [row] : []));
    for (let index = rows.length - 1; index > 0; index--) {
      const other = random(index + 1);
      [rows[index], rows[other]] = [rows[other], rows[index]];
    }
    return rows;
  };
  const stepOver = (chosen, at, perhapsWithFaults) => {
    const rows = chosen.map((row) => ({ row, id: rowId(), length: lengths[row] + 1 }));
    perhapsWithFaults(() => session.steps.run(rows, (row) => Math.min(CAPACITY, lengths[row] + 1)));
    for (const { row, id, length } of rows) {
      const { all, top } = session.steps.result(row);
      if (top && !isSorted(top, all())) outcome.unsorted += 1;
      compare(all(), append(plain, row, length - 1, [id]), `${at}: row ${row} of a step of ${rows.length}`);
      lengths[row] = length;
    }
    outcome.recorded = Math.max(outcome.recorded, session.steps.recorded);
  };
  // Each step is recorded once without a fault: after a fault it would run without a recording.
  for (const rows of [[0], [1], [0, 1], [0, 1, 2, 3], [0, 1, 2, 3, 4]])
    if (Math.max(...rows) < SLOTS) stepOver(rows, 'at first', (run) => run());
  const kinds = {
    step: (at) => {
      const open = chosenRows(CAPACITY - 1);
      const rows = open.slice(0, 1 + random(open.length));
      if (rows.length > 0) stepOver(rows, at, withFaults);
    },
    append: (at) => {
      const [row] = chosenRows(CAPACITY - CHUNK);
      if (row === undefined) return;
      const ids = Array.from({ length: 1 + random(CHUNK) }, rowId);
      let logits;
      withFaults(() => {
        logits = append(session, row, lengths[row], ids);
      });
      compare(logits, append(plain, row, lengths[row], ids), `${at}: ${ids.length} ids of row ${row}`);
      lengths[row] += ids.length;
    },
    copy: () => {
      const [from, to] = chosenRows(CAPACITY + 1);
      if (to === undefined || lengths[from] === 0) return;
      const tokens = 1 + random(lengths[from]);
      withFaults(() => session.copyRow(from, to, tokens));
      plain.copyRow(from, to, tokens);
      lengths[to] = tokens;
    },
    cut: () => {
      const row = random(SLOTS);
      lengths[row] = random(lengths[row] + 1);
    },
    forget: () => {
      const row = random(SLOTS);
      for (const one of [session, plain]) one.releaseRow(row, 0);
      lengths[row] = 0;
    },
  };
  const names = ['step', 'step', 'step', 'append', 'append', 'copy', 'cut', 'forget'];
  for (let index = 0; index < total; index++) {
    const name = names[random(names.length)];
    kinds[name](`operation ${index}`);
    outcome.counts[name] = (outcome.counts[name] ?? 0) + 1;
  }
  for (const one of [session, plain]) one.close();
  return { ...outcome, faults, left: [...held.values()] };
}

/** Gives each step a number: no two steps have the same memory then, as the steps see it. */
let step = 0;
function numberSteps() {
  const { arrange, bind } = CacheInBatch.prototype;
  CacheInBatch.prototype.arrange = function numbered(rows) {
    const arrangement = arrange.call(this, rows);
    return { ...arrangement, key: `${arrangement.key} ${step}` };
  };
  CacheInBatch.prototype.bind = function unnumbered({ rows, key }) {
    return bind.call(this, { rows, key: key.split(' ')[0] });
  };
}

/** Steps of numbers in turn: each is recorded, and the oldest is released for it. */
function keys(total) {
  numberSteps();
  const session = open(mode);
  session.reserve(CAPACITIES);
  const outcome = { recorded: [], bindings: [], worst: 0, repeated: 0 };
  const at = (number, id) => {
    step = number;
    session.steps.run([{ row: 0, id, length: 1 }], () => 1);
    return session.steps.result(0).all().slice();
  };
  const expected = at(0, 5);
  for (let number = 1; number <= total; number++) {
    const ids = number % 2 === 0 ? 5 : 9;
    const logits = at(number, ids);
    if (ids === 5) outcome.worst = Math.max(outcome.worst, difference(logits, expected));
    outcome.recorded.push(session.steps.recorded);
    outcome.bindings.push([...held.values()].filter((name) => name === 'createIoBinding').length);
  }
  // A step that fails is dropped, and recorded again when it runs again.
  const before = session.steps.recorded;
  failRuns(1);
  try {
    at(total, 5);
  } catch (error) {
    outcome.fault = error.message;
  }
  outcome.dropped = before - session.steps.recorded;
  outcome.afterFault = difference(at(total, 5), expected);
  outcome.recordedAgain = session.steps.recorded - before;
  // The first one was released: it is recorded again.
  outcome.repeated = difference(at(0, 5), expected);
  // A step that fails while it is recorded runs without a recording, at the place of the oldest one.
  failRuns(1);
  outcome.unrecorded = difference(at(total + 1, 5), expected);
  outcome.recordedLess = before - session.steps.recorded;
  // A step that also fails without a recording is recorded when it runs again.
  failRuns(2);
  try {
    at(total + 2, 5);
  } catch (error) {
    outcome.secondFault = error.message;
  }
  const beforeRepetition = session.steps.recorded;
  outcome.afterFaults = difference(at(total + 2, 5), expected);
  outcome.recordedLater = session.steps.recorded - beforeRepetition;
  session.close();
  return { ...outcome, left: [...held.values()] };
}

const resident = () => {
  globalThis.gc();
  return process.memoryUsage.rss();
};

/** As `keys`, for the memory of the process. */
function captures(total) {
  numberSteps();
  const session = open(mode);
  session.reserve(CAPACITIES);
  let expected;
  let wrong = 0;
  let before = 0;
  const began = performance.now();
  for (let number = 0; number < total; number++) {
    step = number;
    // Each is recorded by its first run and replayed by its second.
    for (const id of [3, 7])
      session.steps.run(
        [0, 1].map((row) => ({ row, id, length: 1 })),
        () => 1,
      );
    const [id] = session.steps.result(1).top?.ids ?? [];
    expected ??= id;
    if (id !== expected) wrong += 1;
    if (number === Math.floor(total / 10)) before = resident();
  }
  const grown = resident() - before;
  const { recorded } = session.steps;
  session.close();
  return { wrong, grown, recorded, milliseconds: performance.now() - began, left: [...held.values()] };
}

/** Allocations fail one after another. */
function memory() {
  const outcome = { failures: 0, left: [], messages: [] };
  for (let allowed = 0; ; allowed++) {
    tensorsLeft = Number.POSITIVE_INFINITY;
    const session = open(mode);
    tensorsLeft = allowed;
    try {
      session.reserve(CAPACITIES);
      outcome.isOpen = session.steps !== undefined;
    } catch (error) {
      outcome.failures += 1;
      if (!outcome.messages.includes(error.message)) outcome.messages.push(error.message);
    }
    session.close();
    outcome.left.push(...held.values());
    if (outcome.isOpen) return outcome;
  }
}

/** The recorded steps after the check of the load, and after steps over each number of rows. */
function check() {
  const session = open(mode);
  session.reserve(CAPACITIES);
  checkSteps(session, CAPACITY, mode);
  const recorded = [session.steps.recorded];
  for (let count = 1; count <= SLOTS; count++) {
    const rows = Array.from({ length: count }, (_, index) => ({ row: SLOTS - 1 - index, id: 3, length: 1 }));
    session.steps.run(rows, () => 1);
    recorded.push(session.steps.recorded);
  }
  session.close();
  return { recorded, left: [...held.values()] };
}

/** Rows after others whose numbers were not finite: the id 0 has an embedding of them. */
function leftovers() {
  const [session, plain] = [open(mode), open('off')];
  for (const one of [session, plain]) one.reserve(CAPACITIES);
  const allFinite = (logits) => logits.every(Number.isFinite);
  const broken = [1, 2, 3].map((row) => allFinite(append(session, row, 0, [5, 6, 7, 8, 0, 0, 0, 0])));
  for (const row of [1, 2, 3]) session.releaseRow(row, 0);
  for (const one of [session, plain]) {
    append(one, 0, 0, [9, 8, 7, 6, 5, 4, 3, 2]);
    append(one, 1, 0, [5, 6]);
    append(one, 2, 0, [7]);
  }
  // The first row is the longest, and the fourth one has no sequence.
  const rows = [8, 2, 1].map((length, row) => ({ row, id: 9, length: length + 1 }));
  const expected = rows.map(({ row, length }) => append(plain, row, length - 1, [9]));
  let worst = 0;
  for (const _ of ['recorded', 'replayed']) {
    session.steps.run(rows, () => 1);
    // NaN stays.
    for (const { row } of rows) worst = Math.max(worst, difference(session.steps.result(row).all(), expected[row]));
  }
  for (const one of [session, plain]) one.close();
  return { broken, worst };
}

const scenarios = { operations, keys, captures, memory, check, leftovers };
process.stdout.write(JSON.stringify(scenarios[scenario](Number(count))));
