/**
 * Logits of the last positions only: equal to those of the unchanged graph, for graphs with and without the
 * input `num_logits_to_keep`. A graph without it gets the input `first_logits`.
 */
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Session } from '../../../src/engine/ort/session.ts';
import { editModel } from '../../../src/onnx/edit/graph-edit.ts';
import { FIRST_INPUT, KEEP_INPUT, lastLogitsEdit } from '../../../src/onnx/edit/last-logits.ts';
import { type ParsedModel, parseModel } from '../../../src/onnx/graph.ts';
import { type Field, Message, writeBytes } from '../../../src/onnx/protobuf.ts';
import { GRAPH, MODEL } from '../../../src/onnx/types.ts';
import { logitsOf, modelFile, openSession, prompt } from '../../engine/harness.ts';

const fixture = (name: string): string => fileURLToPath(new URL(`../../models/${name}/model.onnx`, import.meta.url));
const MODELS: [string, string][] = [
  ['haiku', modelFile],
  ...['fp32', 'external', 'asked', 'softcap', 'integer'].map((name): [string, string] => [name, fixture(name)]),
];
const capacity = { rows: 3, capacity: 48, chunk: 32, keep: 32 };

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'last-logits-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A copy of a model's folder, with other bytes in the model's file. */
function copyOf(file: string, change: (bytes: Buffer) => Buffer): string {
  const to = mkdtempSync(join(folder, 'copy-'));
  cpSync(dirname(file), to, { recursive: true });
  const copy = join(to, basename(file));
  writeFileSync(copy, change(readFileSync(file)));
  return copy;
}

/** The same model in a form that is not edited: a ValueInfoProto already has the name of the new input. */
const leftAlone = (file: string): string =>
  copyOf(file, (bytes) => {
    const note = writeBytes(GRAPH.valueInfo, writeBytes(1, KEEP_INPUT));
    const noted = (graph: Field): Uint8Array[] =>
      writeBytes(MODEL.graph, [bytes.subarray(graph.from, graph.to), ...note]);
    return Buffer.concat(
      new Message(bytes).rewrite((field) => (field.number === MODEL.graph ? noted(field) : undefined)),
    );
  });

/** Opens two sessions for a test, and closes them. */
function withBoth(file: string, other: string, test: (edited: Session, whole: Session) => void): void {
  const sessions = [file, other].map((one) => openSession(one, capacity)) as [Session, Session];
  try {
    test(...sessions);
  } finally {
    for (const session of sessions) session.close();
  }
}

/**
 * The same logits but for rounding: the kernels for one position and for several can differ, depending on the
 * processor. The logits of any two positions, or rows, differ far more.
 */
function expectSame(some: Float32Array, others: Float32Array): void {
  expect(some).toHaveLength(others.length);
  const apart = Math.max(...some.map((logit, index) => Math.abs(logit - (others[index] ?? Number.NaN))));
  expect(apart).toBeLessThan(1e-4);
}

const idsFor = ({ signature }: Session, length: number, salt = 0): number[] =>
  prompt(length, salt).map((id) => id % signature.vocabSize);

/**
 * Fills three rows with prompts of different lengths, then decodes one id of each in one run: `[rows,
 * vocab]`.
 */
function decodeThree(session: Session): Float32Array {
  const lengths = [9, 20, 3];
  for (const [row, length] of lengths.entries()) {
    session.ids.set(idsFor(session, length, row).map(BigInt));
    session.run({ rows: { first: row, count: 1 }, lengths: [length], tokens: length, logitsAt: 0, keep: 1 });
  }
  session.ids.set([5n, 6n, 7n]);
  const after = lengths.map((length) => length + 1);
  const logitsAt = session.rowLogits;
  expect(session.run({ rows: { first: 0, count: 3 }, lengths: after, tokens: 1, logitsAt, keep: 1 })).toBe(1);
  const { vocabSize } = session.signature;
  return session.logits.slice(logitsAt * vocabSize, (logitsAt + 3) * vocabSize);
}

describe.each(MODELS.filter(([name]) => name !== 'asked'))('a graph without the input: %s', (_, file) => {
  it('gets it, and computes the same logits for the last positions', () => {
    withBoth(file, leftAlone(file), (edited, whole) => {
      expect([edited.signature.keep, whole.signature.keep]).toEqual([
        { name: FIRST_INPUT, shape: [1], negated: true },
        undefined,
      ]);
      const ids = idsFor(whole, 24);
      const all = logitsOf(whole, ids, ids.length);
      const { vocabSize } = whole.signature;
      for (const keep of [1, 3, 24]) expectSame(logitsOf(edited, ids, keep), all.slice(-keep * vocabSize));
    });
  });

  it('gets one node, which computes nothing on the host', () => {
    const operatorsOf = ({ graph }: ParsedModel) => graph.nodes.map(({ operator }) => operator);
    const before = parseModel(readFileSync(file))!;
    const after = parseModel(editModel(before, lastLogitsEdit(before))!)!;
    expect(operatorsOf(after).filter((operator) => operator !== 'Slice')).toEqual(operatorsOf(before));
    expect(after.graph.nodes).toHaveLength(before.graph.nodes.length + 1);
    expect(lastLogitsEdit(after)).toBeUndefined();
  });

  it('decodes several rows to the same logits', () => {
    withBoth(file, leftAlone(file), (edited, whole) => expectSame(decodeThree(edited), decodeThree(whole)));
  });
});

describe('a graph with the input', () => {
  it('computes the requested positions', () => {
    withBoth(fixture('asked'), fixture('asked'), (session, other) => {
      expect(session.signature.keep).toEqual({ name: KEEP_INPUT, shape: [] });
      const ids = idsFor(session, 24);
      const all = logitsOf(other, ids, ids.length);
      for (const keep of [1, 3]) expectSame(logitsOf(session, ids, keep), all.slice(-keep * 64));
    });
  });
});

describe('the memory of logits', () => {
  it('has capacity for each position that can be requested, or for each position of a chunk', () => {
    withBoth(fixture('fp32'), leftAlone(fixture('fp32')), (edited, whole) => {
      expect([edited.rowLogits, whole.rowLogits]).toEqual([32, 32]);
    });
    const session = openSession(fixture('fp32'), { ...capacity, keep: 2 });
    expect(session.rowLogits).toBe(2);
    expect(session.logits.length).toBe((2 + capacity.rows) * 64);
    expect(logitsOf(session, idsFor(session, 30), 2)).toHaveLength(2 * 64);
    session.close();
  });

  it('is never written past its end', () => {
    const session = openSession(fixture('fp32'), { ...capacity, keep: 2 });
    expect(() => logitsOf(session, idsFor(session, 30), 6)).toThrow(RangeError);
    session.close();
  });

  it('gets fewer positions from a run with fewer tokens than requested positions', () => {
    const session = openSession(fixture('fp32'), capacity);
    session.ids.set([3n, 4n]);
    expect(session.run({ rows: { first: 0, count: 1 }, lengths: [2], tokens: 2, logitsAt: 0, keep: 17 })).toBe(2);
    session.close();
  });
});

describe('the runtime opens the unchanged file of', () => {
  it('a model with an unknown node after the projection', () => {
    const file = copyOf(fixture('softcap'), (bytes) =>
      Buffer.from(bytes.toString('latin1').replaceAll('Tanh', 'Relu'), 'latin1'),
    );
    const session = openSession(file, capacity);
    expect(session.signature.keep).toBeUndefined();
    const logits = logitsOf(session, idsFor(session, 8), 8);
    expect(logits.every((logit) => logit >= 0) && logits.some((logit) => logit > 0)).toBe(true);
    session.close();
  });

  it('bytes that are not a model, and refuses them with its own message', () => {
    const broken = [
      copyOf(fixture('fp32'), (bytes) => bytes.subarray(0, 30_000)),
      copyOf(fixture('fp32'), () => Buffer.from('this is not a model, and never was one')),
      copyOf(fixture('fp32'), () => Buffer.alloc(4096)),
    ];
    for (const file of broken)
      expect(() => openSession(file)).toThrow(/protobuf parsing failed|ModelProto|invalid model/i);
  });

  it('a model without its weights, and refuses it with its own message', () => {
    const file = copyOf(fixture('external'), (bytes) => bytes);
    rmSync(`${file}_data`);
    expect(() => openSession(file)).toThrow(/model\.onnx_data/);
  });
});

it('finds weights through the links of a hub cache', () => {
  const cache = mkdtempSync(join(folder, 'cache-'));
  cpSync(dirname(fixture('external')), join(cache, 'blobs'), { recursive: true });
  mkdirSync(join(cache, 'snapshot'));
  for (const name of readdirSync(join(cache, 'blobs'))) {
    const blob = Buffer.from(name).toString('hex');
    renameSync(join(cache, 'blobs', name), join(cache, 'blobs', blob));
    symlinkSync(join('..', 'blobs', blob), join(cache, 'snapshot', name));
  }
  withBoth(join(cache, 'snapshot', 'model.onnx'), fixture('external'), (linked, plain) => {
    expect(linked.signature.keep).toBeDefined();
    expect(logitsOf(linked, idsFor(linked, 12))).toEqual(logitsOf(plain, idsFor(plain, 12)));
  });
});
