/**
 * The logits of a described decoder in float64, all ids from the first on: no graph, no cache, no runtime. Reads
 * the weights at their places in the bytes of one file.
 */
import { widen } from '../../src/onnx/half-float.ts';
import { FLOAT32 } from '../../src/onnx/types.ts';
import {
  type AttentionSpec,
  type DecoderSpec,
  type ExpertActivation,
  type ExpertSpec,
  type ExpertsSpec,
  hasExperts,
  isJoined,
  isPacked,
  type LinearSpec,
  type NormSpec,
  type TensorPlace,
} from '../../src/protocol/decoder/decoder-spec.ts';

type Vector = readonly number[];

/** The logits after each id, `[ids][vocab]`. */
export function referenceLogits(spec: DecoderSpec<TensorPlace>, file: Uint8Array, ids: readonly number[]): Vector[] {
  const decoder = new Reference(spec, file);
  return decoder.logits(ids);
}

class Reference {
  readonly #spec: DecoderSpec<TensorPlace>;
  readonly #file: Uint8Array;
  readonly #read = new Map<TensorPlace, readonly Vector[]>();

  constructor(spec: DecoderSpec<TensorPlace>, file: Uint8Array) {
    this.#spec = spec;
    this.#file = file;
  }

  logits(ids: readonly number[]): Vector[] {
    const { embedding, embeddingScale, layers, finalNorm, head, logitScale, logitSoftcap } = this.#spec;
    const table = this.#rows(embedding);
    let x: readonly Vector[] = ids.map((id) => (table[id] ?? []).map((value) => value * embeddingScale));
    for (const { attention, mlp, residualScale, ...norms } of layers) {
      const add = (block: readonly Vector[], norm: NormSpec | undefined): Vector[] => {
        const normed = block.map((row) => this.#norm(row, norm));
        return x.map((row, token) => row.map((value, i) => value + residualScale * (normed[token]?.[i] ?? Number.NaN)));
      };
      const attended = this.#attention(
        x.map((row) => this.#norm(row, norms.attentionInNorm)),
        attention,
      );
      x = add(attended, norms.attentionOutNorm);
      const inner = x.map((row) => {
        const normed = this.#norm(row, norms.mlpInNorm);
        if (hasExperts(mlp)) return this.#experts(normed, mlp);
        const up = this.#linear(normed, mlp.up);
        const gated = this.#linear(normed, mlp.gate).map((value, i) => activated(value, mlp.activation) * (up[i] ?? 0));
        return this.#linear(gated, mlp.down);
      });
      x = add(inner, norms.mlpOutNorm);
    }
    const capped = (value: number): number =>
      logitSoftcap === undefined ? value : logitSoftcap * Math.tanh(value / logitSoftcap);
    return x.map((row) => this.#linear(this.#norm(row, finalNorm), head).map((value) => capped(value * logitScale)));
  }

  #experts(
    x: Vector,
    { router, chosen, softmaxOver, normalizes, experts, activation }: ExpertsSpec<TensorPlace>,
  ): Vector {
    if (isPacked(experts) || isJoined(experts)) throw new Error('packed experts');
    const logits = this.#linear(x, router);
    const order = [...logits.keys()].sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0)).slice(0, chosen);
    const shares = softmaxOver === 'all' ? softmax(logits) : [];
    const ofChosen =
      softmaxOver === 'all' ? order.map((i) => shares[i] ?? 0) : softmax(order.map((i) => logits[i] ?? 0));
    const sum = normalizes ? ofChosen.reduce((total, share) => total + share, 0) : 1;
    const results = order.map((i) => {
      const { gate, up, down } = experts[i] as ExpertSpec<TensorPlace>;
      const ups = this.#linear(x, up);
      return this.#linear(
        this.#linear(x, gate).map((value, at) => gated(value, ups[at] ?? Number.NaN, activation)),
        down,
      );
    });
    return x.map((_, at) =>
      results.reduce((total, result, i) => total + ((ofChosen[i] ?? 0) / sum) * (result[at] ?? 0), 0),
    );
  }

  #attention(x: readonly Vector[], spec: AttentionSpec<TensorPlace>): Vector[] {
    const { heads, kvHeads, headSize, normOver, qNorm, kNorm, output } = spec;
    const project = (linear: LinearSpec<TensorPlace>, norm: NormSpec | undefined, rotates: boolean): Vector[][] =>
      x.map((row, position) => {
        const whole = this.#linear(row, linear);
        const parts = chunks(normOver === 'width' ? this.#norm(whole, norm) : whole, headSize);
        const normed = normOver === 'head' ? parts.map((part) => this.#norm(part, norm)) : parts;
        return rotates ? normed.map((part) => this.#turned(part, position, spec)) : normed;
      });
    const [q, k, v] = [project(spec.q, qNorm, true), project(spec.k, kNorm, true), project(spec.v, undefined, false)];
    return x.map((_, token) => {
      const joined = Array.from({ length: heads }, (_none, head) => {
        const kvHead = Math.floor(head / (heads / kvHeads));
        const first = Math.max(0, token + 1 - (spec.window ?? token + 1));
        const seen = Array.from({ length: token + 1 - first }, (_one, i) => first + i);
        const scores = seen.map((at) => spec.scale * dot(q[token]?.[head] ?? [], k[at]?.[kvHead] ?? []));
        const capped = scores.map((one) => (spec.softcap ? spec.softcap * Math.tanh(one / spec.softcap) : one));
        const sinks = spec.sinks ? [this.#rows(spec.sinks)[0]?.[head] ?? Number.NaN] : [];
        const shares = softmax([...capped, ...sinks]).slice(0, capped.length);
        return Array.from({ length: headSize }, (_one, i) =>
          dot(
            shares,
            seen.map((at) => v[at]?.[kvHead]?.[i] ?? Number.NaN),
          ),
        );
      });
      return this.#linear(joined.flat(), output);
    });
  }

  #turned(head: Vector, position: number, { rotary }: AttentionSpec<TensorPlace>): Vector {
    if (rotary === undefined) return head;
    const { frequencies = [], magnitude = 1, interleaved } = this.#spec.rotaries[rotary] ?? {};
    const turned = [...head];
    for (const [pair, frequency] of frequencies.entries()) {
      const [first, second] = interleaved ? [2 * pair, 2 * pair + 1] : [pair, pair + frequencies.length];
      const [a = 0, b = 0] = [head[first], head[second]];
      const [cos, sin] = [magnitude * Math.cos(position * frequency), magnitude * Math.sin(position * frequency)];
      turned[first] = a * cos - b * sin;
      turned[second] = b * cos + a * sin;
    }
    return turned;
  }

  #norm(x: Vector, norm: NormSpec | undefined): Vector {
    if (!norm) return x;
    const [weight = []] = this.#rows(norm.weight);
    const root = Math.sqrt(dot(x, x) / x.length + norm.epsilon);
    return x.map((value, i) => (value / root) * ((weight[i] ?? Number.NaN) + norm.offset));
  }

  #linear(x: Vector, { weight, bias }: LinearSpec<TensorPlace>): Vector {
    const added = bias ? this.#rows(bias)[0] : undefined;
    return this.#rows(weight).map((row, out) => dot(x, row) + (added?.[out] ?? 0));
  }

  /** A matrix by rows; a vector as its only row. */
  #rows(place: TensorPlace): readonly Vector[] {
    const known = this.#read.get(place);
    if (known) return known;
    const { offset, bytes, type, shape } = place;
    const data = this.#file.slice(offset, offset + bytes).buffer;
    const count = shape.reduce((product, size) => product * size, 1);
    const values = type === FLOAT32 ? new Float32Array(data) : new Float32Array(count);
    if (type !== FLOAT32) widen(type, new Uint16Array(data), values, { start: 0, end: count });
    const rows = chunks([...values], shape.at(-1) ?? 1);
    this.#read.set(place, rows);
    return rows;
  }
}

const dot = (a: Vector, b: Vector): number => a.reduce((sum, value, i) => sum + value * (b[i] ?? Number.NaN), 0);

function chunks(values: Vector, size: number): Vector[] {
  return Array.from({ length: values.length / size }, (_, i) => values.slice(i * size, (i + 1) * size));
}

function softmax(scores: Vector): Vector {
  const most = Math.max(...scores);
  const powers = scores.map((score) => Math.exp(score - most));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

function activated(x: number, activation: 'silu' | 'gelu_tanh'): number {
  if (activation === 'silu') return x / (1 + Math.exp(-x));
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}

function gated(gate: number, up: number, activation: ExpertActivation): number {
  if (activation.kind === 'silu') return activated(gate, 'silu') * up;
  const { alpha, limit } = activation;
  const [g, u] = [Math.min(gate, limit), Math.max(-limit, Math.min(up, limit))];
  return (g / (1 + Math.exp(-alpha * g))) * (u + 1);
}
