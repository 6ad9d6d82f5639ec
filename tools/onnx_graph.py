"""Builds an ONNX graph of nodes and constants, and quantizes weights in blocks. Used by onnx_llama.py."""
import numpy as np
from onnx import TensorProto, helper, numpy_helper

MICROSOFT = "com.microsoft"
BLOCK = 32                                           # weights that share a scale
DTYPES = ("fp32", "fp16", "q8", "q4", "q4f16")


# ------------------------------------------------------------------ quantization

def quantize_q4(matrix):
    """Symmetric 4-bit blocks for MatMulNBits: matrix [K, N] float32 → packed uint8 [N, K/32, 16], scales float32 [N·K/32].

    Two weights share a byte, the first in its low half; 8 is zero. The scale is signed, so that the weight farthest
    from zero is exact.
    """
    inputs, outputs = matrix.shape
    blocks = matrix.T.reshape(outputs, inputs // BLOCK, BLOCK)
    farthest = np.take_along_axis(blocks, np.abs(blocks).argmax(-1)[..., None], -1)
    scales = (farthest / -8.0).astype(np.float32)
    steps = np.clip(np.rint(blocks * _inverse(scales) + 8), 0, 15).astype(np.uint8)
    return steps[..., 0::2] | (steps[..., 1::2] << 4), scales.reshape(-1)


def quantize_q8(matrix):
    """Symmetric 8-bit blocks for MatMulNBits: matrix [K, N] float32 → uint8 [N, K/32, 32] (128 is zero), scales float32 [N·K/32]."""
    inputs, outputs = matrix.shape
    blocks = matrix.T.reshape(outputs, inputs // BLOCK, BLOCK)
    scales = (np.abs(blocks).max(-1, keepdims=True) / 127.0).astype(np.float32)
    steps = np.clip(np.rint(blocks * _inverse(scales)), -127, 127) + 128
    return steps.astype(np.uint8), scales.reshape(-1)


def _inverse(scales):
    return np.where(scales == 0, 0, 1.0 / np.where(scales == 0, 1, scales))


# ------------------------------------------------------------------ the graph

class Graph:
    """Nodes and constants in the order they are added. Methods return the name of their result.

    dtype           one of DTYPES: the type of the weights, and with f16 also of the computation and the cache
    accuracy_level  of MatMulNBits: 4 lets it round its input to 8-bit integers, 0 does not
    """

    def __init__(self, dtype, accuracy_level=4):
        self.bits = {"q8": 8, "q4": 4, "q4f16": 4}.get(dtype)
        self.real = np.float16 if dtype in ("fp16", "q4f16") else np.float32
        self.real_type = TensorProto.FLOAT16 if self.real is np.float16 else TensorProto.FLOAT
        self.accuracy_level, self.nodes, self.constants = accuracy_level, [], {}

    def constant(self, name, array):
        """A single number becomes an array of one."""
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def numbers(self, *values):
        """int64 [n], such as the axes of an operator."""
        return self.constant("int64_" + "_".join(map(str, values)), np.array(values, np.int64))

    def weight(self, name, array):
        """An array of a checkpoint in the precision of the computation."""
        return self.constant(name, np.asarray(array, self.real))

    def node(self, operator, inputs, outputs, domain="", **attributes):
        outputs = [outputs] if isinstance(outputs, str) else outputs
        self.nodes.append(helper.make_node(operator, inputs, outputs, name=f"/{outputs[0]}/{operator}", domain=domain, **attributes))
        return outputs[0]

    def linear(self, x, weight, name, output, bias=None):
        """x [B, S, K] times a projection. weight [N, K] and bias [N], as in a checkpoint. → [B, S, N]"""
        if bias is not None:
            product = self.linear(x, weight, name, f"{output}.product")
            return self.node("Add", [product, self.weight(name.replace(".weight", ".bias"), bias)], output)
        matrix = np.asarray(weight, np.float32).T
        inputs, outputs = matrix.shape
        if self.bits is None or inputs % BLOCK:
            return self.node("MatMul", [x, self.weight(name, matrix)], output)
        packed, scales = quantize_q4(matrix) if self.bits == 4 else quantize_q8(matrix)
        operands = [x, self.constant(f"{name}.q{self.bits}", packed), self.weight(f"{name}.scales", scales)]
        return self.node("MatMulNBits", operands, output, MICROSOFT, K=inputs, N=outputs, bits=self.bits, block_size=BLOCK,
                         accuracy_level=self.accuracy_level)
