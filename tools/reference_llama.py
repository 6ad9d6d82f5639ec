"""The expected ids of a decoder of onnx_llama.py, computed without its graph: plain numpy in float64, the whole sequence again for every id.

Nothing is cached, cut into chunks, run beside others or laid out in heads that repeat, so it shares no mistake with a graph or an engine.
The weights are those of the file: rounded to float16 or to 4-bit and 8-bit blocks as stored, and widened here. What is rounded while a
runtime computes (activations, the cache) is not imitated: that is what the margins are for.
"""
import numpy as np

from onnx_graph import BLOCK, quantize_q4, quantize_q8


def dequantize(packed, scales, bits):
    """The [N, K] float64 that MatMulNBits multiplies with. packed uint8 [N, blocks, bytes], scales [N · blocks]."""
    if bits == 4:
        steps = np.stack([packed & 15, packed >> 4], -1).reshape(*packed.shape[:2], BLOCK).astype(np.float64) - 8
    else:
        steps = packed.astype(np.float64) - 128
    return (steps * scales.astype(np.float64).reshape(*packed.shape[:2], 1)).reshape(packed.shape[0], -1)


class Reference:
    """config, weights, layout: as onnx_llama.build takes them."""

    def __init__(self, config, weights, layout):
        self.config, self.layout = config, layout
        self.real = np.float16 if layout.dtype in ("fp16", "q4f16") else np.float32
        self.weights = {name: self._stored(name, array) for name, array in weights.items()}
        head = weights.get("lm_head.weight", weights["model.embed_tokens.weight"])
        self.head = self._integers(head) if layout.integer_head else self._stored("lm_head.weight", head)
        self.epsilon = config["rms_norm_eps"]

    def _stored(self, name, array):
        """The array as the file stores it, as float64."""
        bits = {"q8": 8, "q4": 4, "q4f16": 4}.get(self.layout.dtype)
        if bits is None or array.ndim != 2 or array.shape[1] % BLOCK or name == "model.embed_tokens.weight":
            return array.astype(self.real).astype(np.float64)
        packed, scales = (quantize_q4 if bits == 4 else quantize_q8)(array.T)
        return dequantize(packed, scales.astype(self.real), bits)

    @staticmethod
    def _integers(head):
        step = np.float32(np.abs(head).max() / 127)
        return np.rint(head / step).astype(np.float64) * np.float64(step)

    def logits(self, ids):
        """The logits of the token after ids: float64 [vocab]."""
        config, x = self.config, self.weights["model.embed_tokens.weight"][ids]
        kinds = config.get("layer_types") or ["full_attention"] * config["num_hidden_layers"]
        for layer, kind in enumerate(kinds):
            if kind != "mlp":
                x = x + self._attention(layer, self._norm(x, f"model.layers.{layer}.input_layernorm"))
            x = x + self._mlp(layer, self._norm(x, f"model.layers.{layer}.post_attention_layernorm"))
        logits = self.head @ self._norm(x[-1], "model.norm")
        cap = self.layout.softcap
        return logits if cap is None else cap * np.tanh(logits / cap)

    def _norm(self, x, name):
        return x / np.sqrt(np.mean(x * x, -1, keepdims=True) + self.epsilon) * self.weights[f"{name}.weight"]

    def _mlp(self, layer, x):
        gate, up, down = (self.weights[f"model.layers.{layer}.mlp.{part}_proj.weight"] for part in ("gate", "up", "down"))
        gated = x @ gate.T
        return (gated / (1 + np.exp(-gated)) * (x @ up.T)) @ down.T

    def _attention(self, layer, x):
        """x [S, hidden], all tokens from the first on → the same shape. One head after the other."""
        config, prefix = self.config, f"model.layers.{layer}.self_attn"
        group = config["num_attention_heads"] // config["num_key_value_heads"]
        if layer < config["num_hidden_layers"] - config.get("num_kv_shared_layers", 0):
            self._shared = [self._turn(head) for head in self._heads(x, f"{prefix}.k")], self._heads(x, f"{prefix}.v")
        keys, values = self._shared
        later = np.triu(np.ones((len(x), len(x)), bool), 1)
        rows = []
        for head, query in enumerate(self._heads(x, f"{prefix}.q")):
            scores = self._turn(query) @ keys[head // group].T / np.sqrt(config["head_dim"])
            scores = np.where(later, -np.inf, scores)
            shares = np.exp(scores - scores.max(-1, keepdims=True))
            rows.append(shares / shares.sum(-1, keepdims=True) @ values[head // group])
        return np.concatenate(rows, -1) @ self.weights[f"{prefix}.o_proj.weight"].T

    def _heads(self, x, prefix):
        """A projection with its bias and norm, if there are any: a list of [S, head_dim]."""
        projected = x @ self.weights[f"{prefix}_proj.weight"].T + self.weights.get(f"{prefix}_proj.bias", 0.0)
        heads = np.split(projected, projected.shape[-1] // self.config["head_dim"], -1)
        return [self._norm(head, f"{prefix}_norm") if f"{prefix}_norm.weight" in self.weights else head for head in heads]

    def _turn(self, head):
        """The rotary embedding of one head [S, head_dim]: elements i and i + head_dim/2 are a point that rotates with the position."""
        half = self.config["head_dim"] // 2
        angles = np.arange(len(head))[:, None] * self.config["rope_theta"] ** (-np.arange(half) / half)
        turn = np.cos(angles) + 1j * np.sin(angles)
        if not self.layout.concat:                   # with the tables of the file
            turn = turn.real.astype(self.real).astype(np.float64) + 1j * turn.imag.astype(self.real).astype(np.float64)
        turned = (head[:, :half] + 1j * head[:, half:]) * turn
        return np.concatenate([turned.real, turned.imag], -1)


# ------------------------------------------------------------------ greedy continuations

def margin(logits):
    """The distance between the best and the second logit, in standard deviations of all logits."""
    second, best = np.partition(logits, -2)[-2:]
    return float((best - second) / logits.std())


def continue_greedily(reference, prompt, count, least_margin):
    """→ (ids, margins) of `count` steps, or None as soon as a margin is too narrow or the sequence ends."""
    ids, margins = list(prompt), []
    for _ in range(count):
        logits = reference.logits(ids)
        margins.append(margin(logits))
        ids.append(int(logits.argmax()))
        if margins[-1] < least_margin or ids[-1] == reference.config["eos_token_id"]:
            return None
    return ids[len(prompt):], margins


def find_continuation(reference, length, count, least_margin, least_distinct, tries=20000):
    """The first of a seeded series of prompts whose continuation has wide margins: {prompt, ids, margins}. Printable ASCII if the vocabulary allows it."""
    letters = range(32, 127) if reference.config["vocab_size"] > 127 else range(3, reference.config["vocab_size"])
    seen = set()
    for attempt in range(tries):
        prompt = tuple(np.random.default_rng([length, attempt]).choice(letters, length).tolist())
        if prompt in seen:
            continue
        seen.add(prompt)
        found = continue_greedily(reference, prompt, count, least_margin)
        if found is not None and len(set(found[0])) >= least_distinct:
            return {"prompt": list(prompt), "ids": found[0], "margins": [float(f"{step:.3g}") for step in found[1]]}
    raise SystemExit(f"No prompt of {length} ids leaves margins of {least_margin} and {least_distinct} different ids: use another --seed.")
