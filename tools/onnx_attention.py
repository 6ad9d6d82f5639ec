"""The forms of attention, cache and positions in exported graphs. Used by onnx_llama.py.

B rows, S new tokens, P cached ones, T = P + S. q [B, S, heads · head_dim]; k and v [B, S, kv_heads · head_dim].

  InPlace      com.microsoft.GroupQueryAttention, which updates the cache in place if past and present are the same memory;
               the rotary embedding is inside it, or before it where position_ids are given
  Growing      MatMul and Softmax, and a cache that grows: present = Concat(past, new), so each step makes a longer array
"""
import numpy as np
from onnx import TensorProto

from onnx_graph import MICROSOFT

# Names of inputs and outputs by style; {} is the number of the layer.
DOTS = {"input_ids": "input_ids", "attention_mask": "attention_mask", "position_ids": "position_ids", "logits": "logits",
        "past_key": "past_key_values.{}.key", "past_value": "past_key_values.{}.value",
        "present_key": "present.{}.key", "present_value": "present.{}.value"}
NAMES = {
    "dots": DOTS,
    "underscores": {**DOTS, "past_key": "past_key_{}", "past_value": "past_value_{}", "present_key": "present_key_{}", "present_value": "present_value_{}"},
    "combined": {**DOTS, "past": "past_{}", "present": "present_{}"},
    "short": {"input_ids": "tokens", "attention_mask": "mask", "position_ids": "places", "logits": "scores",
              "past_key": "past.{}.k", "past_value": "past.{}.v", "present_key": "now.{}.k", "present_value": "now.{}.v"},
}


def frequencies(config):
    """Radians per position of each pair of a head's elements: float64 [head_dim/2]."""
    head_dim = config["head_dim"]
    return config["rope_theta"] ** -(np.arange(0, head_dim, 2) / head_dim)


def rotary_caches(config):
    """cos and sin of every position: two float32 [max_position_embeddings, head_dim/2]."""
    angles = np.outer(np.arange(config["max_position_embeddings"]), frequencies(config))
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


class InPlace:
    """Attention by GroupQueryAttention. Requires a head_dim that is a multiple of 16."""

    def __init__(self, graph, config, names, position_ids):
        self.graph, self.config, self.names = graph, config, names
        self.positions = names["position_ids"] if position_ids else None
        self._add_lengths()
        cos, sin = rotary_caches(config)
        graph.weight("cos_cache", cos)
        graph.weight("sin_cache", sin)

    def _add_lengths(self):
        """The operator's inputs from the mask: the last position of each row int32 [B], and the longest length int32 []."""
        graph, mask = self.graph, self.names["attention_mask"]
        graph.constant("axis_1", np.array([1], np.int64))
        graph.constant("one", np.array(1, np.int64))
        graph.node("ReduceSum", [mask, "axis_1"], "row_lengths", keepdims=0)
        graph.node("Sub", ["row_lengths", "one"], "last_positions_64")
        graph.node("Cast", ["last_positions_64"], "last_positions", to=TensorProto.INT32)
        graph.node("Shape", [mask], "mask_shape")
        graph.node("Gather", ["mask_shape", "one"], "total_length_64", axis=0)
        graph.node("Cast", ["total_length_64"], "total_length", to=TensorProto.INT32)

    def add(self, layer, q, k, v):
        """→ [B, S, heads · head_dim]"""
        caches = ["cos_cache", "sin_cache"]
        if self.positions is not None:
            q, k = (self.graph.node("RotaryEmbedding", [x, self.positions, *caches], f"{x}.turned", MICROSOFT, interleaved=0) for x in (q, k))
            caches = []
        past, present = ([self.names[f"{side}_{part}"].format(layer) for part in ("key", "value")] for side in ("past", "present"))
        return self.graph.node(
            "GroupQueryAttention", [q, k, v, *past, "last_positions", "total_length", *caches],
            [f"layer.{layer}.attention", *present], MICROSOFT,
            num_heads=self.config["num_attention_heads"], kv_num_heads=self.config["num_key_value_heads"],
            do_rotary=0 if self.positions is not None else 1, rotary_interleaved=0, scale=self.config["head_dim"] ** -0.5)


class Growing:
    """Attention as basic operators. Positions are an input, or are counted from the mask."""

    def __init__(self, graph, config, names, position_ids):
        self.graph, self.config, self.names = graph, config, names
        self._add_lengths()
        self._add_turns(names["position_ids"] if position_ids else self._count_positions())
        self._add_bias()

    def _add_lengths(self):
        """S, T and P, int64 [1] each."""
        graph = self.graph
        for name, source in (("new_length", "input_ids"), ("total_length", "attention_mask")):
            graph.node("Shape", [self.names[source]], f"{name}.shape")
            graph.node("Slice", [f"{name}.shape", graph.numbers(1), graph.numbers(2)], name)
        graph.node("Sub", ["total_length", "new_length"], "past_length")

    def _count_positions(self):
        """The position of a token is the number of ones before it in the mask of its row: int64 [B, S]."""
        graph = self.graph
        graph.node("CumSum", [self.names["attention_mask"], graph.node("Squeeze", [graph.numbers(1)], "counted.axis")], "counted")
        graph.node("Sub", ["counted", graph.numbers(1)], "all_positions")
        return graph.node("Slice", ["all_positions", "past_length", "total_length", graph.numbers(1)], "positions")

    def _add_turns(self, positions):
        """cos and sin of the new tokens' angles, [B, 1, S, head_dim] each."""
        graph = self.graph
        graph.node("Unsqueeze", [positions, graph.numbers(1, 3)], "positions_4d")
        graph.node("Cast", ["positions_4d"], "positions_float", to=TensorProto.FLOAT)
        graph.constant("frequencies", np.tile(frequencies(self.config), 2).astype(np.float32))
        graph.node("Mul", ["positions_float", "frequencies"], "angles")
        for function in ("Cos", "Sin"):
            graph.node(function, ["angles"], f"{function}_float")
            graph.node("Cast", [f"{function}_float"], function.lower(), to=graph.real_type)

    def _add_bias(self):
        """0 where a new token attends, the lowest number elsewhere: [B, 1, S, T]. A token attends to the ones in its row's mask, up to itself."""
        graph = self.graph
        for name, start in (("new_places", "past_length"), ("all_places", graph.numbers(0))):
            bounds = {"start": start, "end": "total_length", "step": graph.numbers(1)}
            graph.node("Range", [graph.node("Squeeze", [value], f"{name}.{bound}") for bound, value in bounds.items()], name)
        graph.node("Unsqueeze", ["new_places", graph.numbers(1)], "new_column")
        graph.node("LessOrEqual", ["all_places", "new_column"], "not_later")
        graph.node("Unsqueeze", [self.names["attention_mask"], graph.numbers(1, 2)], "mask_4d")
        graph.node("Cast", ["mask_4d"], "not_padding", to=TensorProto.BOOL)
        graph.node("And", ["not_later", "not_padding"], "visible")
        graph.weight("seen", 0.0)
        graph.weight("unseen", np.finfo(graph.real).min)
        graph.node("Where", ["visible", "seen", "unseen"], "bias")

    def add(self, layer, q, k, v):
        """→ [B, S, heads · head_dim]. Without k and v the layer reads the cache of the layer before it."""
        graph, prefix = self.graph, f"layer.{layer}"
        heads, kv_heads, head_dim = (self.config[key] for key in ("num_attention_heads", "num_key_value_heads", "head_dim"))
        q = self._turn(self._split(q, heads))
        if k is not None:
            self._keys, self._values = self._grow(layer, self._turn(self._split(k, kv_heads)), self._split(v, kv_heads))
        keys, values = (self._repeat(x, f"{prefix}.{name}") for x, name in ((self._keys, "keys"), (self._values, "values")))
        keys = graph.node("Transpose", [keys], f"{prefix}.keys_turned", perm=[0, 1, 3, 2])
        scores = graph.node("MatMul", [q, keys], f"{prefix}.scores")
        scaled = graph.node("Mul", [scores, graph.weight("scale", head_dim ** -0.5)], f"{prefix}.scaled")
        biased = graph.node("Add", [scaled, "bias"], f"{prefix}.biased")
        attended = graph.node("MatMul", [graph.node("Softmax", [biased], f"{prefix}.weights", axis=-1), values], f"{prefix}.attended")
        together = graph.node("Transpose", [attended], f"{prefix}.attended_rows", perm=[0, 2, 1, 3])
        return graph.node("Reshape", [together, graph.numbers(0, 0, heads * head_dim)], f"{prefix}.attention")

    def _split(self, x, heads):
        """[B, S, heads · head_dim] → [B, heads, S, head_dim]"""
        rows = self.graph.node("Reshape", [x, self.graph.numbers(0, 0, heads, self.config["head_dim"])], f"{x}.heads")
        return self.graph.node("Transpose", [rows], f"{x}.by_head", perm=[0, 2, 1, 3])

    def _turn(self, x):
        """The rotary embedding of [B, heads, S, head_dim], half-split: x · cos + (−second half, first half) · sin."""
        graph, half, whole = self.graph, self.config["head_dim"] // 2, self.config["head_dim"]
        first = graph.node("Slice", [x, graph.numbers(0), graph.numbers(half), graph.numbers(3)], f"{x}.first")
        second = graph.node("Slice", [x, graph.numbers(half), graph.numbers(whole), graph.numbers(3)], f"{x}.second")
        swapped = graph.node("Concat", [graph.node("Neg", [second], f"{x}.negated"), first], f"{x}.swapped", axis=-1)
        return graph.node("Add", [graph.node("Mul", [x, "cos"], f"{x}.cos"), graph.node("Mul", [swapped, "sin"], f"{x}.sin")], f"{x}.turned")

    def _grow(self, layer, k, v):
        """The cache followed by the new tokens: keys and values [B, kv_heads, T, head_dim], also as outputs of the graph."""
        graph, names = self.graph, self.names
        if "past" not in names:
            return tuple(graph.node("Concat", [names[f"past_{part}"].format(layer), x], names[f"present_{part}"].format(layer), axis=2)
                         for part, x in (("key", k), ("value", v)))
        parts = [graph.node("Unsqueeze", [x, graph.numbers(0)], f"{x}.part") for x in (k, v)]
        new = graph.node("Concat", parts, f"layer.{layer}.new", axis=0)
        present = graph.node("Concat", [names["past"].format(layer), new], names["present"].format(layer), axis=3)
        apart = [graph.node("Gather", [present, graph.numbers(index)], f"{x}.apart", axis=0) for index, x in enumerate((k, v))]
        return tuple(graph.node("Squeeze", [x, graph.numbers(0)], f"{x}.grown") for x in apart)

    def _repeat(self, x, name):
        """Repeats each head of keys or values for every query head that reads it: → [B, heads, T, head_dim]"""
        graph, heads, kv_heads = self.graph, self.config["num_attention_heads"], self.config["num_key_value_heads"]
        apart = graph.node("Unsqueeze", [x, graph.numbers(2)], f"{name}.apart")
        repeated = graph.node("Expand", [apart, graph.numbers(1, 1, heads // kv_heads, 1, 1)], f"{name}.repeated")
        return graph.node("Reshape", [repeated, graph.numbers(0, heads, -1, self.config["head_dim"])], name)
