"""The block formats of GGUF files that gguf_llama.py writes: each value is rounded to the nearest level of its block.

A quantizer takes float32 [n, values of a block] and gives uint8 [n, bytes of a block]. Source of the layouts: ggml-common.h and
ggml-quants.c of llama.cpp. Q4_0, Q5_0 and Q8_0 equal its reference; Q4_K and Q6_K take the scale of the extremes, without a search.
"""
import numpy as np

CHUNK = 1 << 19                                      # values that are quantized at once, so that temporaries stay in the cache


def _inverse(scale):
    return np.where(scale == 0, 0, 1 / np.where(scale == 0, 1, scale)).astype(np.float32)


def _half(scale):
    """[n, 1] float → the bytes of its float16 [n, 2]."""
    return np.ascontiguousarray(scale, np.float16).view(np.uint8).reshape(len(scale), 2)


def _farthest(blocks):
    """The signed value of each block that is farthest from zero, over the last dimension."""
    high, low = blocks.max(-1, keepdims=True), blocks.min(-1, keepdims=True)
    return np.where(high > -low, high, low)


def _nearest(values, low, high, dtype):
    """Rounded with ties to even, between low and high. `values` is overwritten."""
    return np.clip(np.rint(values, out=values), low, high, out=values).astype(dtype)


def _levels(blocks, scale, middle):
    """0 … 2 · middle - 1, as the reference computes them: half a level is added, and the rest is cut off."""
    return np.minimum(blocks * _inverse(scale) + np.float32(middle + 0.5), 2 * middle - 1).astype(np.uint8)


def q4_0(blocks):
    scale = _farthest(blocks) / np.float32(-8)
    level = _levels(blocks, scale, 8)
    return np.concatenate([_half(scale), level[:, :16] | (level[:, 16:] << 4)], 1)


def q5_0(blocks):
    scale = _farthest(blocks) / np.float32(-16)
    level = _levels(blocks, scale, 16)
    fifth = np.packbits(level >> 4, axis=1, bitorder="little")
    return np.concatenate([_half(scale), fifth, (level[:, :16] & 15) | ((level[:, 16:] & 15) << 4)], 1)


def q8_0(blocks):
    scale = np.abs(blocks).max(-1, keepdims=True) / np.float32(127)
    values = blocks * _inverse(scale)
    return np.concatenate([_half(scale), _nearest(values, -127, 127, np.int8).view(np.uint8)], 1)


def q4_k(blocks):
    """8 parts of 32 values, each with a scale and a minimum of 6 bits: d · scale · level - dmin · minimum."""
    parts = blocks.reshape(-1, 8, 32)
    minimum = np.maximum(-parts.min(-1), 0)
    scale = (np.maximum(parts.max(-1), 0) + minimum) / np.float32(15)
    d, dmin = (of.max(-1, keepdims=True).astype(np.float32) / np.float32(63) for of in (scale, minimum))
    steps, floors = (_nearest(of * _inverse(unit), 0, 63, np.uint8) for of, unit in ((scale, d), (minimum, dmin)))
    d, dmin = (of.astype(np.float16).astype(np.float32) for of in (d, dmin))
    values = parts + (dmin * floors)[..., None]
    values *= _inverse(d * steps)[..., None]
    level = _nearest(values, 0, 15, np.uint8).reshape(-1, 4, 2, 32)
    low, high = slice(0, 4), slice(4, 8)
    packed = [steps[:, low] | (steps[:, high] >> 4 << 6), floors[:, low] | (floors[:, high] >> 4 << 6),
              (steps[:, high] & 15) | ((floors[:, high] & 15) << 4)]
    return np.concatenate([_half(d), _half(dmin), *packed, (level[:, :, 0] | (level[:, :, 1] << 4)).reshape(-1, 128)], 1)


def q6_k(blocks):
    """16 parts of 16 values, each with a scale of 8 bits: d · scale · (level - 32)."""
    parts = blocks.reshape(-1, 16, 16)
    scale = _farthest(parts)[..., 0] / np.float32(-32)
    d = _farthest(scale) / np.float32(-128)
    steps = _nearest(scale * _inverse(d), -128, 127, np.int8)
    d = d.astype(np.float16).astype(np.float32)
    values = parts * _inverse(d * steps)[..., None]
    level = (_nearest(values, -32, 31, np.int8) + 32).astype(np.uint8).reshape(-1, 2, 4, 32)
    low = np.concatenate([(level[:, :, at] & 15) | ((level[:, :, at + 2] & 15) << 4) for at in (0, 1)], 2)
    high = (level[:, :, 0] >> 4) | (level[:, :, 1] >> 4 << 2) | (level[:, :, 2] >> 4 << 4) | (level[:, :, 3] >> 4 << 6)
    return np.concatenate([low.reshape(-1, 128), high.reshape(-1, 64), steps.view(np.uint8), _half(d)], 1)


def plain(dtype):
    return lambda blocks: np.ascontiguousarray(blocks, dtype).view(np.uint8)


# format: number in a file (ggml_type), values of a block, bytes of a block, quantizer
FORMATS = {
    "f32": (0, 1, 4, plain("<f4")), "f16": (1, 1, 2, plain("<f2")),
    "q4_0": (2, 32, 18, q4_0), "q5_0": (6, 32, 22, q5_0), "q8_0": (8, 32, 34, q8_0),
    "q4_k": (12, 256, 144, q4_k), "q6_k": (14, 256, 210, q6_k),
}


def size(kind, values):
    """Bytes of `values` values in a format."""
    _, of, width, _ = FORMATS[kind]
    return values // of * width


def packed(kind, matrix):
    """Yields the bytes of a float32 array, whose rows are whole blocks, part by part."""
    _, values, _, quantize = FORMATS[kind]
    blocks = np.ascontiguousarray(matrix, np.float32).reshape(-1, values)
    for start in range(0, len(blocks), CHUNK // values):
        yield quantize(blocks[start:start + CHUNK // values]).tobytes()
