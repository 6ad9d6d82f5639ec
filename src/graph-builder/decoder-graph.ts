/**
 * The graph of a decoder while it is built: a model writer with the weights of a checkpoint and the choices
 * of a device. The parts of a decoder (attention, MLP, norms, products) add their nodes to it. Pure.
 */
import { FLOAT16, FLOAT32, INT32 } from '../onnx/types.ts';
import { ModelWriter, type NodeOptions } from '../onnx/write/model-writer.ts';
import {
  type DecoderSpec,
  type GraphMatrix,
  hasExperts,
  isPlain,
  type TensorPlace,
} from '../protocol/decoder/decoder-spec.ts';
import type { Choices } from './choices.ts';

export const MICROSOFT = 'com.microsoft';

export interface GraphOptions {
  readonly choices: Choices;
  /** Names of the checkpoint's files, relative to the folder that the runtime gets. */
  readonly files: readonly string[];
}

export class DecoderGraph {
  readonly writer = new ModelWriter();
  readonly choices: Choices;
  /** Element type of all activations, of the KV cache and of the logits. */
  readonly type: number;
  readonly #files: readonly string[];
  /** Names of the weights in the graph, by their place: a tied head shares the bytes of the embedding. */
  readonly #weights = new Map<string, string>();
  /** Names of the weights in the element type of the graph. */
  readonly #converted = new Map<string, string>();
  /** Names of constants and of other values that several parts use, by their key. */
  readonly #shared = new Map<string, string>();

  constructor({ choices, files }: GraphOptions, spec: DecoderSpec<GraphMatrix>) {
    this.choices = choices;
    this.type = elementType(spec, choices);
    this.#files = files;
  }

  /** Adds a node with a standard operator, or with one of the runtime's own. Returns its first output. */
  node(operator: string, inputs: readonly string[], options: NodeOptions = {}): string {
    return this.writer.node(operator, inputs, options);
  }

  /** Adds a node with an operator of the runtime's own domain. Returns its first output. */
  microsoft(operator: string, inputs: readonly string[], options: NodeOptions = {}): string {
    return this.writer.node(operator, inputs, { ...options, domain: MICROSOFT });
  }

  /** A weight in the element type of its file. @param name the name that the runtime's messages show. */
  stored(place: TensorPlace, name: string): string {
    const { file, offset, bytes, type, shape } = place;
    const key = `${file}:${offset}:${shape.join()}`;
    const known = this.#weights.get(key);
    if (known !== undefined) return known;
    const location = this.#files[file];
    if (location === undefined) throw new RangeError(`${name} is in file ${file} of ${this.#files.length}`);
    const added = this.writer.external(this.writer.fresh(name), { type, shape }, { location, offset, bytes });
    this.#weights.set(key, added);
    return added;
  }

  /**
   * A weight in the element type of the graph. The runtime folds the Cast of a constant when it opens the
   * model.
   */
  weight(place: TensorPlace, name: string): string {
    const stored = this.stored(place, name);
    const known = this.#converted.get(stored);
    if (known !== undefined) return known;
    const converted = this.cast(stored, place.type);
    this.#converted.set(stored, converted);
    return converted;
  }

  /** A value of element type `from` in another type, by default that of the graph. */
  cast(value: string, from: number, to = this.type): string {
    return from === to ? value : this.node('Cast', [value], { attributes: { to: { integer: to } } });
  }

  /** A constant of one number, by default in the element type of the graph. Returns its name. */
  scalar(value: number, type = this.type): string {
    const name = `number_${value}`;
    return this.once(`${name}_${type}`, () =>
      this.cast(this.writer.floats(this.writer.fresh(name), [value], []), FLOAT32, type),
    );
  }

  /** `value × factor`; the value itself for the factor 1. */
  scaled(value: string, factor: number): string {
    return factor === 1 ? value : this.node('Mul', [value, this.scalar(factor)]);
  }

  /** A value that several parts of the graph use: the nodes of `make` are added at the first call only. */
  once(key: string, make: () => string): string {
    const known = this.#shared.get(key);
    if (known !== undefined) return known;
    const made = make();
    this.#shared.set(key, made);
    return made;
  }

  /** A constant int64 vector, once for equal vectors. Returns its name. */
  integers(...values: readonly number[]): string {
    const name = `integers_${values.join('_')}`;
    return this.once(name, () => this.writer.integers(name, values));
  }

  /** A constant int64 number. Returns its name. */
  integer(value: number): string {
    const name = `integer_${value}`;
    return this.once(name, () => this.writer.integers(name, [value], []));
  }

  /** A constant int32 vector, once for equal vectors. Returns its name. */
  int32s(...values: readonly number[]): string {
    return this.#int32s(`int32s_${values.join('_')}`, values, [values.length]);
  }

  /** A constant int32 number. Returns its name. */
  int32(value: number): string {
    return this.#int32s(`int32_${value}`, [value], []);
  }

  /** `cap × tanh(value / cap)`; the value itself without a cap. */
  capped(value: string, cap: number | undefined): string {
    if (cap === undefined) return value;
    const ratio = this.node('Div', [value, this.scalar(cap)]);
    return this.node('Mul', [this.node('Tanh', [ratio]), this.scalar(cap)]);
  }

  /** True if the graph computes with half floats of 16 bits and 5 exponent bits. */
  get isHalf(): boolean {
    return this.type === FLOAT16;
  }

  #int32s(name: string, values: readonly number[], shape: readonly number[]): string {
    const data = new Uint8Array(Int32Array.from(values).buffer);
    return this.once(name, () => this.writer.constant(name, { type: INT32, shape }, data));
  }
}

/** The type of the embedding if the device computes in it; float32 for integers, whose scales are float32. */
function elementType(spec: DecoderSpec<GraphMatrix>, { native }: Choices): number {
  const { embedding } = spec;
  const isFloat = isPlain(embedding) && native.includes(embedding.type) && matricesOf(spec).every(isPlain);
  return isFloat ? embedding.type : FLOAT32;
}

/** Without the packed experts: their operator takes activations in float32 or half floats. */
function matricesOf({ head, layers }: DecoderSpec<GraphMatrix>): GraphMatrix[] {
  const linears = layers.flatMap(({ attention: { q, k, v, output }, mlp }) =>
    hasExperts(mlp) ? [q, k, v, output, mlp.router] : [q, k, v, output, mlp.gate, mlp.up, mlp.down],
  );
  return [head, ...linears].map(({ weight }) => weight);
}
