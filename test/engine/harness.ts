/**
 * Helpers of the engine's tests: the embedded model, an engine with a promise for each sequence, requests
 * with defaults.
 */
import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, vi } from 'vitest';
import { RunCost } from '../../src/engine/cost-model.ts';
import { deviceNamed } from '../../src/engine/devices/registry.ts';
import { Engine } from '../../src/engine/engine.ts';
import { type Pointer, viewMemory } from '../../src/engine/ffi.ts';
import { loadOrt } from '../../src/engine/ort/api.ts';
import { readModel } from '../../src/engine/ort/model-file.ts';
import { type Capacity, Session } from '../../src/engine/ort/session.ts';
import { argMax } from '../../src/engine/sampling/sampler.ts';
import { FLOAT32 } from '../../src/onnx/types.ts';
import type { EngineOptions } from '../../src/protocol/loading.ts';
import type { Finish, FromEngine, Note, SequenceRequest, TokenReport } from '../../src/protocol/messages.ts';
import { GREEDY, type Sampling } from '../../src/protocol/sampling.ts';

const root = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

const libraries = root(`node_modules/onnxruntime-node/bin/napi-v6/${process.platform}/${process.arch}/`);
export const runtimeLibrary =
  libraries + readdirSync(libraries).find((name) => /^(libonnxruntime\.(so\.1|1\.dylib)|onnxruntime\.dll)$/.test(name));
export const modelFile = root('models/haiku/onnx/model.onnx');
export const engineProcess = root('dist/engine/process.cjs');

/** The CPU as the only device, with this model file. */
export const onCpu = (file: string): Pick<EngineOptions, 'candidates'> => ({
  candidates: [{ device: 'cpu', modelFile: file, weightFiles: [existsSync(file) ? realpathSync(file) : file] }],
});

export const options: EngineOptions = {
  runtimeLibrary,
  ...onCpu(modelFile),
  names: {},
  slots: 4,
  context: 256,
  prefillChunk: 'auto',
  threads: 'auto',
  speculation: 'off',
};

export const greedy: Sampling = { ...GREEDY, seed: 1 };

type Ask = Partial<Omit<SequenceRequest, 'sampling'>> & { sampling?: Partial<Sampling> };

let lastId = 0;
export function request({ sampling, ...rest }: Ask = {}): SequenceRequest {
  return {
    id: ++lastId,
    prompt: [0, 17, 42],
    maxTokens: 8,
    minTokens: 0,
    endIds: [],
    ...rest,
    sampling: { ...greedy, ...sampling },
  };
}

/** All reports of one sequence. */
export interface Outcome {
  readonly notes: Note[];
  readonly tokens: TokenReport[];
  readonly ids: number[];
  readonly finish: Finish;
}

/** An engine, with a promise of the outcome of each sequence. */
export class Bench {
  readonly engine: Engine;
  readonly reports: Extract<FromEngine, { kind: 'report' }>[] = [];
  readonly #watchers = new Map<number, { notes: Note[]; tokens: TokenReport[]; resolve: (outcome: Outcome) => void }>();
  /** Called after each report, for tests that act while sequences run. */
  onReport: (report: Extract<FromEngine, { kind: 'report' }>) => void = () => undefined;

  constructor(overrides: Partial<EngineOptions> = {}) {
    this.engine = Engine.open({ ...options, ...overrides }, (message) => {
      if (message.kind !== 'report') return;
      this.reports.push(message);
      for (const { id, notes, tokens, finish } of message.sequences) {
        const watcher = this.#watchers.get(id);
        watcher?.notes.push(...notes);
        watcher?.tokens.push(...tokens);
        if (watcher && finish) {
          this.#watchers.delete(id);
          const ids = watcher.tokens.map((token) => token.id);
          watcher.resolve({ notes: watcher.notes, tokens: watcher.tokens, ids, finish });
        }
      }
      this.onReport(message);
    });
  }

  run(asked: Ask = {}): Promise<Outcome> {
    return this.submit(request(asked));
  }

  submit(asked: SequenceRequest): Promise<Outcome> {
    const outcome = new Promise<Outcome>((resolve) => {
      this.#watchers.set(asked.id, { notes: [], tokens: [], resolve });
    });
    this.engine.submit(asked);
    return outcome;
  }

  /** Resolves after the report that brings the sequence to `count` tokens. */
  async afterTokens(id: number, count: number): Promise<void> {
    let seen = 0;
    await new Promise<void>((resolve) => {
      this.onReport = ({ sequences }) => {
        seen += sequences.find((sequence) => sequence.id === id)?.tokens.length ?? 0;
        if (seen >= count) resolve();
      };
    });
    this.onReport = () => undefined;
  }
}

const capacity: Capacity = { rows: 4, capacity: 256, chunk: 256, keep: 256 };

/** A session with capacity for the logits of all positions of a run. */
export function openSession(
  file = modelFile,
  overrides: Partial<Capacity> = {},
  api = loadOrt(runtimeLibrary),
): Session {
  const session = Session.open(api, readModel(file), deviceNamed('cpu'));
  session.reserve({ ...capacity, ...overrides });
  return session;
}

/** A session, and a function that fills with NaN all of its cache that runs have used. */
export function openPoisonable(): { session: Session; poison: () => void } {
  const api = loadOrt(runtimeLibrary);
  const { createTensorWithData } = api;
  const bound = new Map<Pointer, number>();
  const session = openSession(
    modelFile,
    {},
    {
      ...api,
      createTensorWithData: (info, pointer, bytes, shape, rank, type) => {
        if (type === FLOAT32) bound.set(pointer, Math.max(bytes, bound.get(pointer) ?? 0));
        return createTensorWithData(info, pointer, bytes, shape, rank, type);
      },
    },
  );
  session.ids[0] = 0n;
  for (let row = 0; row < capacity.rows; row++)
    session.run({ rows: { first: row, count: 1 }, lengths: [1], tokens: 1, logitsAt: 0, keep: 1 });
  const poison = (): void => {
    for (const [pointer, bytes] of bound) new Float32Array(viewMemory(pointer, bytes)).fill(Number.NaN);
  };
  return { session, poison };
}

/**
 * Logits after each of the last `keep` ids. Computes all ids in one run on an empty row: no reused cache, no
 * chunks, no other sequences.
 * @returns `[keep, vocab]`
 */
export function logitsOf(session: Session, ids: readonly number[], keep = 1): Float32Array {
  for (const [index, id] of ids.entries()) session.ids[index] = BigInt(id);
  const rows = { first: 0, count: 1 };
  const written = session.run({ rows, lengths: [ids.length], tokens: ids.length, logitsAt: 0, keep });
  const { vocabSize } = session.signature;
  return session.logits.slice((written - keep) * vocabSize, written * vocabSize);
}

/** The greedy continuation, computed by running the whole sequence again for each id. */
export function continueGreedily(session: Session, prompt: readonly number[], count: number): number[] {
  const ids = [...prompt];
  while (ids.length < prompt.length + count) ids.push(argMax(logitsOf(session, ids)));
  return ids.slice(prompt.length);
}

/**
 * For the tests of a `describe`: every run takes the same time. The length of a draft depends on measured times,
 * and a machine under load may draft nothing.
 */
export function equalCosts(): void {
  beforeAll(() => {
    vi.spyOn(RunCost.prototype, 'estimate').mockReturnValue(10);
  });
  afterAll(() => {
    vi.restoreAllMocks();
  });
}

/** A prompt without an obvious repetition. */
export const prompt = (length: number, salt = 0): number[] =>
  Array.from({ length }, (_, index) => (index === 0 ? 0 : 5 + ((index * 37 + salt * 101 + index * index) % 1000)));
