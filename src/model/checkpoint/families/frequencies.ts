/**
 * Frequencies of rotary embeddings, as transformers computes them: in float32, with each result rounded. The
 * source of each rule is the function of the same name in modeling_rope_utils.py of transformers 4.57.6 and
 * 5.18.0, which agree. Pure.
 */
const { fround } = Math;

/** Angles per position in radians, one for each pair of elements. */
export type Frequencies = readonly number[];

/**
 * `base ** (arange(0, size, 2).float() / size)`. The power is rounded once to float32; the library of torch
 * can differ in the last bit.
 */
function wavelengths(size: number, base: number): number[] {
  return Array.from({ length: size / 2 }, (_, i) => fround(fround(base) ** fround((2 * i) / size)));
}

/** `_compute_default_rope_parameters`: `1 / base ** (2 i / size)`. @param size rotary size, even. */
export function defaultFrequencies(size: number, base: number): Frequencies {
  return wavelengths(size, base).map((length) => fround(1 / length));
}

/** `_compute_linear_scaling_rope_parameters`: all frequencies divided by the factor. */
export function linearFrequencies(frequencies: Frequencies, factor: number): Frequencies {
  return frequencies.map((frequency) => fround(frequency / fround(factor)));
}

export interface Llama3Scaling {
  readonly factor: number;
  readonly lowFactor: number;
  readonly highFactor: number;
  /** Positions of the first training. */
  readonly original: number;
}

/**
 * `_compute_llama3_parameters`: long waves are divided by the factor, short waves stay, and the waves between
 * them are interpolated. torch computes `number / tensor` as `number × (1 / tensor)`.
 */
export function llama3Frequencies(frequencies: Frequencies, scaling: Llama3Scaling): Frequencies {
  const { factor, lowFactor, highFactor, original } = scaling;
  const over = (number: number, value: number): number => fround(fround(number) * fround(1 / value));
  return frequencies.map((frequency) => {
    const length = over(2 * Math.PI, frequency);
    if (length > fround(original / lowFactor)) return fround(frequency / fround(factor));
    if (length < fround(original / highFactor)) return frequency;
    const part = fround(over(original, length) - fround(lowFactor));
    const smooth = fround(part / fround(highFactor - lowFactor));
    const scaled = fround(fround(fround(1 - smooth) * frequency) / fround(factor));
    return fround(scaled + fround(smooth * frequency));
  });
}

export interface YarnScaling {
  readonly factor: number;
  readonly original: number;
  readonly betaFast: number;
  readonly betaSlow: number;
  /** Rounds the borders of the interpolation to whole pairs. */
  readonly truncate: boolean;
}

/**
 * `_compute_yarn_parameters`: pairs that turn more than `betaFast` times in the original positions keep
 * their frequency, pairs that turn less than `betaSlow` times are divided by the factor. The borders are
 * computed in float64, as in Python.
 */
export function yarnFrequencies(size: number, base: number, scaling: YarnScaling): Frequencies {
  const { factor, original, betaFast, betaSlow, truncate } = scaling;
  const pairOf = (turns: number): number => (size * Math.log(original / (turns * 2 * Math.PI))) / (2 * Math.log(base));
  const [first, last] = [pairOf(betaFast), pairOf(betaSlow)];
  const low = Math.max(truncate ? Math.floor(first) : first, 0);
  const high = Math.min(truncate ? Math.ceil(last) : last, size - 1);
  const span = high === low ? 0.001 : high - low;
  return wavelengths(size, base).map((length, i) => {
    const ramp = fround(fround(i - fround(low)) / fround(span));
    const kept = fround(1 - Math.min(Math.max(ramp, 0), 1));
    const divided = fround(1 / fround(fround(factor) * length));
    return fround(fround(divided * fround(1 - kept)) + fround(fround(1 / length) * kept));
  });
}

/**
 * Factor of cosines and sines for yarn, without `attention_factor`: `get_mscale` of the same function.
 * DeepSeek's `mscale` and `mscale_all_dim` count only together.
 */
export function yarnMagnitude(factor: number, mscale?: number, mscaleAllDim?: number): number {
  const of = (scale: number): number => (factor <= 1 ? 1 : 0.1 * scale * Math.log(factor) + 1);
  return mscale !== undefined && mscaleAllDim !== undefined ? of(mscale) / of(mscaleAllDim) : of(1);
}

/** `_compute_longrope_parameters`: each pair has a factor of its own. */
export function longropeFrequencies(size: number, base: number, factors: readonly number[]): Frequencies {
  return wavelengths(size, base).map((length, i) => fround(1 / fround(fround(factors[i] ?? 1) * length)));
}

/**
 * Factor of cosines and sines for longrope: `√(1 + ln factor / ln original)`, 1 for a factor of at most 1.
 */
export function longropeMagnitude(factor: number, original: number): number {
  return factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original));
}
