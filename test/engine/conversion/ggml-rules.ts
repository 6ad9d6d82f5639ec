/**
 * Dequantization of GGUF blocks: ggml-quants.c and ggml-quants.h of llama.cpp in TypeScript, loop by loop, with
 * each float operation rounded to float32. Written apart from src, which has the same rules as formulas.
 */
import type { BlockFormat } from '../../../src/protocol/decoder/block-formats.ts';

const f = Math.fround;
type Dequantize = (x: DataView, y: Float32Array) => void;

function fp16(x: DataView, at: number): number {
  const bits = x.getUint16(at, true);
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
  const size = exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25);
  return bits & 0x8000 ? -size : size;
}

const IQ4NL = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];
const MXFP4 = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

function scaleMinK4(j: number, q: (at: number) => number): [number, number] {
  if (j < 4) return [q(j) & 63, q(j + 4) & 63];
  return [(q(j + 4) & 0xf) | ((q(j - 4) >> 6) << 4), (q(j + 4) >> 4) | ((q(j) >> 6) << 4)];
}

function fiveBits(x: DataView, at: number, j: number): [number, number] {
  const qh = x.getUint32(at, true);
  const qs = x.getUint8(at + 4 + j);
  const xh0 = ((qh >>> j) << 4) & 0x10;
  const xh1 = (qh >>> (j + 12)) & 0x10;
  return [(qs & 0x0f) | xh0, (qs >> 4) | xh1];
}

const lookUp =
  (table: readonly number[], at: number, scale: (x: DataView) => number): Dequantize =>
  (x, y) => {
    const d = scale(x);
    for (let j = 0; j < 16; j += 1) {
      const q = x.getUint8(at + j);
      y[j] = f(d * (table[q & 0xf] as number));
      y[j + 16] = f(d * (table[q >> 4] as number));
    }
  };

/** Each reads one block of x into y. */
export const DEQUANTIZE: Readonly<Record<BlockFormat, Dequantize>> = {
  q4_0(x, y) {
    const d = fp16(x, 0);
    for (let j = 0; j < 16; j += 1) {
      const q = x.getUint8(2 + j);
      y[j] = f(((q & 0x0f) - 8) * d);
      y[j + 16] = f(((q >> 4) - 8) * d);
    }
  },
  q4_1(x, y) {
    const [d, m] = [fp16(x, 0), fp16(x, 2)];
    for (let j = 0; j < 16; j += 1) {
      const q = x.getUint8(4 + j);
      y[j] = f(f((q & 0x0f) * d) + m);
      y[j + 16] = f(f((q >> 4) * d) + m);
    }
  },
  q5_0(x, y) {
    const d = fp16(x, 0);
    for (let j = 0; j < 16; j += 1) {
      const [x0, x1] = fiveBits(x, 2, j);
      y[j] = f((x0 - 16) * d);
      y[j + 16] = f((x1 - 16) * d);
    }
  },
  q5_1(x, y) {
    const [d, m] = [fp16(x, 0), fp16(x, 2)];
    for (let j = 0; j < 16; j += 1) {
      const [x0, x1] = fiveBits(x, 4, j);
      y[j] = f(f(x0 * d) + m);
      y[j + 16] = f(f(x1 * d) + m);
    }
  },
  q8_0(x, y) {
    const d = fp16(x, 0);
    for (let j = 0; j < 32; j += 1) y[j] = f(x.getInt8(2 + j) * d);
  },
  q2_k(x, y) {
    const [d, min] = [fp16(x, 80), fp16(x, 82)];
    let [is, to, q] = [0, 0, 16];
    for (let n = 0; n < 256; n += 128) {
      for (let shift = 0; shift < 8; shift += 2) {
        for (const part of [0, 16]) {
          const sc = x.getUint8(is++);
          const [dl, ml] = [f(d * (sc & 0xf)), f(min * (sc >> 4))];
          for (let l = 0; l < 16; l += 1) y[to++] = f(f(dl * ((x.getUint8(q + part + l) >> shift) & 3)) - ml);
        }
      }
      q += 32;
    }
  },
  q3_k(x, y) {
    const [kmask1, kmask2] = [0x03030303, 0x0f0f0f0f];
    const dAll = fp16(x, 108);
    const aux = [0, 4, 8].map((at) => x.getUint32(96 + at, true));
    const [a0, a1, tmp] = aux as [number, number, number];
    const packed = Uint32Array.of(
      (a0 & kmask2) | (((tmp >>> 0) & kmask1) << 4),
      (a1 & kmask2) | (((tmp >>> 2) & kmask1) << 4),
      ((a0 >>> 4) & kmask2) | (((tmp >>> 4) & kmask1) << 4),
      ((a1 >>> 4) & kmask2) | (((tmp >>> 6) & kmask1) << 4),
    );
    const scales = new Int8Array(packed.buffer);
    let [is, to, q, m] = [0, 0, 32, 1];
    for (let n = 0; n < 256; n += 128) {
      for (let shift = 0; shift < 8; shift += 2) {
        for (const part of [0, 16]) {
          const dl = f(dAll * ((scales[is++] as number) - 32));
          for (let l = 0; l < 16; l += 1) {
            const low = (x.getUint8(q + part + l) >> shift) & 3;
            y[to++] = f(dl * (low - (x.getUint8(part + l) & m ? 0 : 4)));
          }
        }
        m <<= 1;
      }
      q += 32;
    }
  },
  q4_k(x, y) {
    const [d, min] = [fp16(x, 0), fp16(x, 2)];
    let [is, to, q] = [0, 0, 16];
    for (let j = 0; j < 256; j += 64) {
      for (const shift of [0, 4]) {
        const [sc, m] = scaleMinK4(is++, (at) => x.getUint8(4 + at));
        const [d1, m1] = [f(d * sc), f(min * m)];
        for (let l = 0; l < 32; l += 1) y[to++] = f(f(d1 * ((x.getUint8(q + l) >> shift) & 0xf)) - m1);
      }
      q += 32;
    }
  },
  q5_k(x, y) {
    const [d, min] = [fp16(x, 0), fp16(x, 2)];
    let [is, to, q, u] = [0, 0, 48, 1];
    for (let j = 0; j < 256; j += 64) {
      for (const shift of [0, 4]) {
        const [sc, m] = scaleMinK4(is++, (at) => x.getUint8(4 + at));
        const [d1, m1] = [f(d * sc), f(min * m)];
        for (let l = 0; l < 32; l += 1) {
          const low = (x.getUint8(q + l) >> shift) & 0xf;
          y[to++] = f(f(d1 * (low + (x.getUint8(16 + l) & u ? 16 : 0))) - m1);
        }
        u <<= 1;
      }
      q += 32;
    }
  },
  q6_k(x, y) {
    const d = fp16(x, 208);
    let [ql, qh, sc, to] = [0, 128, 192, 0];
    for (let n = 0; n < 256; n += 128) {
      for (let l = 0; l < 32; l += 1) {
        const is = l >> 4;
        const [low, next, high] = [x.getUint8(ql + l), x.getUint8(ql + l + 32), x.getUint8(qh + l)];
        const q1 = ((low & 0xf) | ((high & 3) << 4)) - 32;
        const q2 = ((next & 0xf) | (((high >> 2) & 3) << 4)) - 32;
        const q3 = ((low >> 4) | (((high >> 4) & 3) << 4)) - 32;
        const q4 = ((next >> 4) | (((high >> 6) & 3) << 4)) - 32;
        y[to + l] = f(f(d * x.getInt8(sc + is)) * q1);
        y[to + l + 32] = f(f(d * x.getInt8(sc + is + 2)) * q2);
        y[to + l + 64] = f(f(d * x.getInt8(sc + is + 4)) * q3);
        y[to + l + 96] = f(f(d * x.getInt8(sc + is + 6)) * q4);
      }
      to += 128;
      ql += 64;
      qh += 32;
      sc += 8;
    }
  },
  iq4_nl: lookUp(IQ4NL, 2, (x) => fp16(x, 0)),
  iq4_xs(x, y) {
    const d = fp16(x, 0);
    const scalesH = x.getUint16(2, true);
    let [qs, to] = [8, 0];
    for (let ib = 0; ib < 8; ib += 1) {
      const low = (x.getUint8(4 + (ib >> 1)) >> (4 * (ib % 2))) & 0xf;
      const dl = f(d * ((low | (((scalesH >> (2 * ib)) & 3) << 4)) - 32));
      for (let j = 0; j < 16; j += 1) {
        const q = x.getUint8(qs + j);
        y[to + j] = f(dl * (IQ4NL[q & 0xf] as number));
        y[to + j + 16] = f(dl * (IQ4NL[q >> 4] as number));
      }
      to += 32;
      qs += 16;
    }
  },
  // GGML_E8M0_TO_FP32_HALF: half of 2^(e - 127).
  mxfp4: lookUp(MXFP4, 1, (x) => 2 ** (x.getUint8(0) - 128)),
};
