#!/usr/bin/env python3
"""Write a Llama-shaped checkpoint with the same random weights as onnx_llama.py, for benchmarks.

Usage: safetensors_llama.py SHAPE {fp32|fp16|bf16} FOLDER        (SHAPE: a key of onnx_llama.SHAPES)
Needs: Debian's python3-numpy, python3-onnx (through onnx_llama). Writes config.json and model.safetensors; byte_tokenizer.py makes the tokenizer.
"""
import json
import os
import struct
import sys

import numpy as np

from onnx_llama import random_config, random_weights

NAMES = {"fp32": "F32", "fp16": "F16", "bf16": "BF16"}


def rounded(array, dtype):
    """The bytes of a float32 array in the dtype, rounded to the nearest number, ties to even."""
    if dtype == "fp32":
        return array.astype("<f4").tobytes()
    if dtype == "fp16":
        return array.astype("<f2").tobytes()
    bits = array.astype("<f4").view("<u4")
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2").tobytes()


def write(path, weights, dtype):
    """A safetensors file: the length of the header in 8 bytes, the header as JSON, then the tensors without gaps."""
    header, end = {}, 0
    width = 4 if dtype == "fp32" else 2
    for name, array in weights.items():
        header[name] = {"dtype": NAMES[dtype], "shape": list(array.shape), "data_offsets": [end, end + array.size * width]}
        end += array.size * width
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in weights.values():
            file.write(rounded(array, dtype))


def main():
    if len(sys.argv) != 4 or sys.argv[2] not in NAMES:
        sys.exit(__doc__)
    shape, dtype, folder = sys.argv[1:]
    os.makedirs(folder, exist_ok=True)
    config = random_config(shape)
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file, indent=1)
    write(os.path.join(folder, "model.safetensors"), random_weights(config), dtype)


if __name__ == "__main__":
    main()
