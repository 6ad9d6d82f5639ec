"""The logits of checkpoints of several families, computed in plain numpy and float64 without a graph, a cache or a runtime.

The sources of the rules are the modeling files of transformers 5.18.0: src/transformers/models/<family>/modeling_<family>.py,
modeling_rope_utils.py and masking_utils.py. This file shares no code with the graph builder, so that it shares no mistake with it.
tools/check_families.py compares it with transformers itself.

A family is a row of FAMILIES; the rest of a decoder comes from its config.json. The weights are those of the file, as float64.
"""
import math
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Family:
    """The properties of a family that its config.json does not state."""
    norms: str = "before"                 # before attention and MLP, `behind` them, or `around` them
    norm_offset: float = 0.0              # the weights of norms are stored as differences from this number
    query_norm: str = "none"              # over each `head`, or over the whole `width`
    packed: bool = False                  # q, k and v are one matrix; gate and up are one matrix
    scaled_embedding: bool = False        # by the root of the hidden size
    tied: bool = False                    # if config.json does not say it
    head_size: int = 0                    # if config.json does not say it; 0 = hidden size / heads
    base: float = 10000.0                 # of the rotary embedding, if config.json does not say it
    sinks: bool = False                   # each head has a score without a value


FAMILIES = {
    "llama": Family(),
    "mistral": Family(),
    "granite": Family(),
    "qwen2": Family(),
    "qwen3": Family(query_norm="head", head_size=128),
    "qwen3_moe": Family(query_norm="head"),
    "gpt_oss": Family(head_size=64, base=150000.0, sinks=True),
    "phi3": Family(packed=True),
    "smollm3": Family(tied=True, base=2000000.0),
    "olmo2": Family(norms="behind", query_norm="width"),
    "gemma": Family(norm_offset=1.0, scaled_embedding=True, tied=True, head_size=256),
    "gemma2": Family(norms="around", norm_offset=1.0, scaled_embedding=True, tied=True, head_size=256),
    "gemma3_text": Family(norms="around", norm_offset=1.0, query_norm="head", scaled_embedding=True, tied=True, head_size=256),
}


@dataclass(frozen=True)
class Rotary:
    """Element i and element i + n of the first 2n elements of a head are a point that rotates with the position."""
    frequencies: tuple                    # n angles in radians per position
    magnitude: float = 1.0                # factor of sines and cosines


@dataclass(frozen=True)
class Layer:
    rotary: Rotary | None                 # None: no positions
    window: int | None                    # a token reads itself and the window - 1 tokens before it; None: all


@dataclass(frozen=True)
class Experts:
    """The mixtures of experts: which experts, and how their results are weighed."""
    layers: tuple                         # numbers of the layers with experts
    router: str                           # name of its matrix
    count: int
    chosen: int
    over: str                             # softmax over `all` experts, or over the `chosen` ones
    normalizes: bool                      # the weights of the chosen ones are divided by their sum
    alpha: float = 1.0                    # gate × sigmoid(alpha × gate) × (up + shift), with gate and up cut at the limit
    shift: float = 0.0
    limit: float = math.inf
    order: int = 0                        # only for checks of the tests: expert i is taken for expert i + order


@dataclass(frozen=True)
class Decoder:
    """All of a decoder but its weights."""
    layers: tuple
    heads: int
    kv_heads: int
    head_size: int
    epsilon: float
    norms: str
    norm_offset: float
    query_norm: str
    packed: bool
    activation: str
    attention_scale: float
    attention_cap: float | None
    embedding_scale: float
    residual_scale: float
    logit_scale: float
    logit_cap: float | None
    tied: bool
    sinks: bool = False
    experts: Experts | None = None
    biased: bool = True                   # biases that the checkpoint has are added
    interleaved: bool = False             # only for checks of the tests: pairs 2i, 2i + 1 rotate
    exchanged: bool = False               # only for checks of the tests: gate and up change places
    head_order: str = "blocks"            # only for checks of the tests: `cycles`: query head h reads kv head h mod kv_heads


# ------------------------------------------------------------------ config.json → Decoder

def decoder_of(config, context):
    """The decoder of a config.json. context: positions that a worker serves; it chooses between the two tables of longrope."""
    kind = config["model_type"]
    family = FAMILIES[kind]
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    head_size = config.get("head_dim") or family.head_size or hidden // heads
    scale = config["attention_multiplier"] if kind == "granite" else head_size**-0.5
    if kind in ("gemma2", "gemma3_text"):
        scale = config.get("query_pre_attn_scalar", 256) ** -0.5
    granite = (lambda key: config.get(key, 1.0)) if kind == "granite" else lambda key: 1.0
    return Decoder(
        layers=tuple(layer_of(config, index, head_size, context) for index in range(config["num_hidden_layers"])),
        heads=heads, kv_heads=config.get("num_key_value_heads") or heads, head_size=head_size,
        epsilon=config.get("rms_norm_eps", 1e-5 if kind in ("olmo2", "phi3", "gpt_oss") else 1e-6),
        norms=family.norms, norm_offset=family.norm_offset, query_norm=family.query_norm, packed=family.packed,
        activation=activation_of(config), attention_scale=scale,
        attention_cap=config.get("attn_logit_softcapping", 50.0) if kind == "gemma2" else None,
        embedding_scale=hidden**0.5 if family.scaled_embedding else granite("embedding_multiplier"),
        residual_scale=granite("residual_multiplier"), logit_scale=1 / granite("logits_scaling"),
        logit_cap=config.get("final_logit_softcapping", 30.0 if kind == "gemma2" else None) if kind in ("gemma2", "gemma3_text") else None,
        tied=config.get("tie_word_embeddings", family.tied), sinks=family.sinks, experts=experts_of(config))


def experts_of(config):
    """Qwen3MoeTopKRouter, Qwen3MoeExperts, Qwen2MoeDecoderLayer; GptOssTopKRouter, GptOssExperts."""
    layers = range(config["num_hidden_layers"])
    if config["model_type"] == "qwen3_moe":
        dense = config.get("mlp_only_layers") or []
        sparse = [layer for layer in layers if layer not in dense and (layer + 1) % config.get("decoder_sparse_step", 1) == 0]
        return Experts(tuple(sparse), "gate", config.get("num_experts", 128), config.get("num_experts_per_tok", 8), "all", config.get("norm_topk_prob", False))
    if config["model_type"] == "gpt_oss":
        return Experts(tuple(layers), "router", config.get("num_local_experts", 128), config.get("num_experts_per_tok", 4), "chosen", False,
                       config.get("swiglu_alpha", 1.702), 1.0, config.get("swiglu_limit", 7.0))
    return None


def activation_of(config):
    """Gemma 1 has `gelu` in old files, and means the approximation by tanh. Gemma 2 and 3 read another key."""
    if config["model_type"] in ("gemma2", "gemma3_text"):
        return config.get("hidden_activation", "gelu_pytorch_tanh")
    name = config.get("hidden_act", "gelu_pytorch_tanh" if config["model_type"] == "gemma" else "silu")
    return "gelu_pytorch_tanh" if config["model_type"] == "gemma" and name == "gelu" else name


def layer_of(config, index, head_size, context):
    sliding = is_sliding(config, index)
    rotary = rotary_of(config, "sliding_attention" if sliding else "full_attention", head_size, context)
    return Layer(rotary if has_positions(config, index) else None, config["sliding_window"] if sliding else None)


def has_positions(config, index):
    """False for some layers of SmolLM3: a list with 0 for these, or every n-th."""
    if config["model_type"] != "smollm3":
        return True
    uses = config.get("no_rope_layers")
    return bool(uses[index] if uses else (index + 1) % config.get("no_rope_layer_interval", 4))


def is_sliding(config, index):
    """True if this layer has a window."""
    kind, window = config["model_type"], config.get("sliding_window")
    if kind in ("mistral", "phi3"):
        return window is not None
    if kind == "qwen3_moe":
        return config.get("use_sliding_window", False) and window is not None
    if kind in ("qwen2", "qwen3", "smollm3") and not config.get("use_sliding_window", False):
        return False
    if kind not in ("qwen2", "qwen3", "smollm3", "gemma2", "gemma3_text", "gpt_oss") or window is None:
        return False
    if config.get("layer_types"):
        return config["layer_types"][index] == "sliding_attention"
    if kind in ("qwen2", "qwen3"):
        return index >= config.get("max_window_layers", 28)
    if kind == "smollm3":
        return not has_positions(config, index)
    return (index + 1) % (2 if kind in ("gemma2", "gpt_oss") else config.get("sliding_window_pattern", 6)) != 0


def rotary_of(config, layer_type, head_size, context):
    rope = rope_parameters(config, layer_type)
    size = int(head_size * rope.get("partial_rotary_factor", 1.0))
    plain = rope["rope_theta"] ** (-np.arange(0, size, 2, dtype=np.float64) / size)
    kind = rope["rope_type"]
    if kind == "default":
        return Rotary(tuple(plain))
    original = config.get("original_max_position_embeddings") or rope.get("original_max_position_embeddings", config["max_position_embeddings"])
    if kind == "linear":
        return Rotary(tuple(plain / rope["factor"]))
    if kind == "llama3":
        return Rotary(tuple(llama3(rope, plain, original)))
    factor = rope.get("factor") or config["max_position_embeddings"] / original
    if kind == "yarn":
        return Rotary(tuple(yarn(rope, plain, size, factor, original)), rope.get("attention_factor") or yarn_magnitude(rope, factor))
    if kind == "longrope":
        stretch = np.array(rope["long_factor" if context > original else "short_factor"], np.float64)
        magnitude = 1.0 if factor <= 1 else math.sqrt(1 + math.log(factor) / math.log(original))
        return Rotary(tuple(plain / stretch), rope.get("attention_factor") or magnitude)
    raise ValueError(f"rope_type {kind}")


def rope_parameters(config, layer_type):
    """The parameters of a layer as one dictionary, from `rope_parameters` (transformers 5) or `rope_scaling` (before)."""
    gemma3 = config["model_type"] == "gemma3_text"
    base = config.get("rope_theta") or (1000000.0 if gemma3 else FAMILIES[config["model_type"]].base)
    rope = dict(config.get("rope_parameters") or {})
    if layer_type in rope:
        rope = dict(rope[layer_type])
    elif not rope and gemma3 and layer_type == "sliding_attention":
        rope = {"rope_theta": config.get("rope_local_base_freq", 10000.0)}
    elif not rope:
        rope = dict(config.get("rope_scaling") or {})
    rope.setdefault("rope_theta", base)
    rope.setdefault("rope_type", rope.get("type", "default"))
    if config.get("partial_rotary_factor") is not None:
        rope.setdefault("partial_rotary_factor", config["partial_rotary_factor"])
    if config["model_type"] == "phi3" and rope["rope_type"] in ("su", "yarn"):
        rope["rope_type"] = "longrope"
    return rope


def llama3(rope, plain, original):
    """Long waves are stretched by the factor, short ones are not, and those between are blended."""
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    waves = 2 * math.pi / plain
    smooth = (original / waves - low) / (high - low)
    blended = (1 - smooth) * plain / rope["factor"] + smooth * plain
    return np.where(waves > original / low, plain / rope["factor"], np.where(waves < original / high, plain, blended))


def yarn(rope, plain, size, factor, original):
    """A ramp over the pairs between unchanged frequencies and frequencies divided by the factor."""
    def pair_of(rotations):
        return size * math.log(original / (rotations * 2 * math.pi)) / (2 * math.log(rope["rope_theta"]))

    low, high = pair_of(rope.get("beta_fast") or 32), pair_of(rope.get("beta_slow") or 1)
    if rope.get("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, size - 1)
    ramp = np.clip((np.arange(size // 2) - low) / ((high - low) or 0.001), 0, 1)
    return plain / factor * ramp + plain * (1 - ramp)


def yarn_magnitude(rope, factor):
    def scale(weight):
        return 1.0 if factor <= 1 else 0.1 * weight * math.log(factor) + 1.0

    if rope.get("mscale") and rope.get("mscale_all_dim"):
        return scale(rope["mscale"]) / scale(rope["mscale_all_dim"])
    return scale(1.0)


# ------------------------------------------------------------------ the computation

class Reference:
    """decoder: of decoder_of. tensors: name → array, as the checkpoint stores it."""

    def __init__(self, decoder, tensors):
        self.decoder = decoder
        self.tensors = {name: array.astype(np.float64) for name, array in tensors.items()}

    def logits(self, ids):
        """The logits behind every id, all ids computed from the first on: float64 [len(ids), vocab]."""
        decoder = self.decoder
        x = self.tensors["model.embed_tokens.weight"][list(ids)] * decoder.embedding_scale
        for index, layer in enumerate(decoder.layers):
            x = self._block(x, f"model.layers.{index}", layer)
        x = self._norm(x, "model.norm.weight")
        head = "model.embed_tokens.weight" if decoder.tied else "lm_head.weight"
        logits = x @ self.tensors[head].T * decoder.logit_scale
        return logits if decoder.logit_cap is None else decoder.logit_cap * np.tanh(logits / decoder.logit_cap)

    def _block(self, x, name, layer):
        scale = self.decoder.residual_scale

        def norm(values, place):
            return self._norm(values, f"{name}.{place}_layernorm.weight")

        if self.decoder.norms == "before":
            x = x + scale * self._attention(norm(x, "input"), f"{name}.self_attn", layer)
            return x + scale * self._inner(norm(x, "post_attention"), f"{name}.mlp")
        if self.decoder.norms == "behind":
            x = x + norm(self._attention(x, f"{name}.self_attn", layer), "post_attention")
            return x + norm(self._mlp(x, f"{name}.mlp"), "post_feedforward")
        x = x + norm(self._attention(norm(x, "input"), f"{name}.self_attn", layer), "post_attention")
        return x + norm(self._mlp(norm(x, "pre_feedforward"), f"{name}.mlp"), "post_feedforward")

    def _norm(self, x, name):
        root = np.sqrt(np.mean(x * x, -1, keepdims=True) + self.decoder.epsilon)
        return x / root * (self.tensors[name] + self.decoder.norm_offset)

    def _linear(self, x, name):
        y = x @ self.tensors[f"{name}.weight"].T
        return y + self.tensors[f"{name}.bias"] if self.decoder.biased and f"{name}.bias" in self.tensors else y

    def _inner(self, x, name):
        experts = self.decoder.experts
        return self._mixture(x, name) if experts and int(name.split(".")[2]) in experts.layers else self._mlp(x, name)

    def _mixture(self, x, name):
        """The best experts of each token, and the sum of their results."""
        experts = self.decoder.experts
        scores = self._linear(x, f"{name}.{experts.router}")
        powers = np.exp(scores - scores.max(-1, keepdims=True))
        is_chosen = np.zeros(scores.shape, bool)
        np.put_along_axis(is_chosen, np.argsort(-scores, -1)[:, :experts.chosen], True, -1)
        chosen = np.where(is_chosen, powers, 0)
        shares = chosen / (powers if experts.over == "all" and not experts.normalizes else chosen).sum(-1, keepdims=True)
        results = np.zeros_like(x)
        for expert in range(experts.count):
            tokens = np.flatnonzero(is_chosen[:, expert])
            result = self._expert(x[tokens], f"{name}.experts.{(expert + experts.order) % experts.count}")
            results[tokens] += shares[tokens, expert, None] * result
        return results

    def _expert(self, x, name):
        experts = self.decoder.experts
        gate, up = self._linear(x, f"{name}.gate_proj"), self._linear(x, f"{name}.up_proj")
        if self.decoder.exchanged:
            gate, up = up, gate
        gate, up = np.minimum(gate, experts.limit), np.clip(up, -experts.limit, experts.limit)
        return self._linear(gate / (1 + np.exp(-experts.alpha * gate)) * (up + experts.shift), f"{name}.down_proj")

    def _mlp(self, x, name):
        if self.decoder.packed:
            gate, up = np.split(self._linear(x, f"{name}.gate_up_proj"), 2, -1)
        else:
            gate, up = self._linear(x, f"{name}.gate_proj"), self._linear(x, f"{name}.up_proj")
        if self.decoder.exchanged:
            gate, up = up, gate
        return self._linear(self._activated(gate) * up, f"{name}.down_proj")

    def _activated(self, x):
        if self.decoder.activation == "silu":
            return x / (1 + np.exp(-x))
        if self.decoder.activation == "gelu_pytorch_tanh":
            return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
        raise ValueError(f"activation {self.decoder.activation}")

    def _projections(self, x, name):
        """→ queries, keys and values, [S, heads × head size] each."""
        decoder = self.decoder
        if not decoder.packed:
            return [self._linear(x, f"{name}.{part}_proj") for part in "qkv"]
        queries = decoder.heads * decoder.head_size
        return np.split(self._linear(x, f"{name}.qkv_proj"), [queries, queries + decoder.kv_heads * decoder.head_size], -1)

    def _attention(self, x, name, layer):
        """x [S, hidden], all tokens from the first on → the same shape."""
        decoder = self.decoder
        queries, keys, values = self._projections(x, name)
        if decoder.query_norm == "width":
            queries, keys = self._norm(queries, f"{name}.q_norm.weight"), self._norm(keys, f"{name}.k_norm.weight")
        queries, keys, values = (part.reshape(len(x), -1, decoder.head_size).swapaxes(0, 1) for part in (queries, keys, values))
        if decoder.query_norm == "head":
            queries, keys = self._norm(queries, f"{name}.q_norm.weight"), self._norm(keys, f"{name}.k_norm.weight")
        queries, keys = self._turned(queries, layer.rotary), self._turned(keys, layer.rotary)
        group = decoder.heads // decoder.kv_heads
        read = [head // group if decoder.head_order == "blocks" else head % decoder.kv_heads for head in range(decoder.heads)]
        scores = queries @ keys[read].swapaxes(1, 2) * decoder.attention_scale
        if decoder.attention_cap is not None:
            scores = decoder.attention_cap * np.tanh(scores / decoder.attention_cap)
        distance = np.arange(len(x))[:, None] - np.arange(len(x))
        seen = (distance >= 0) & (distance < (layer.window or len(x)))
        scores = np.where(seen, scores, -np.inf)
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        total = shares.sum(-1, keepdims=True)
        if decoder.sinks:
            total = total + np.exp(self.tensors[f"{name}.sinks"][:, None, None] - scores.max(-1, keepdims=True))
        mixed = shares / total @ values[read]
        return self._linear(mixed.swapaxes(0, 1).reshape(len(x), -1), f"{name}.o_proj")

    def _turned(self, heads, rotary):
        """The rotary embedding of [heads, S, head size]."""
        if rotary is None:
            return heads
        pairs = len(rotary.frequencies)
        angles = np.arange(heads.shape[1])[:, None] * np.array(rotary.frequencies)
        turn = rotary.magnitude * (np.cos(angles) + 1j * np.sin(angles))
        turned = heads.copy()
        first, second = (slice(0, 2 * pairs, 2), slice(1, 2 * pairs, 2)) if self.decoder.interleaved else (slice(pairs), slice(pairs, 2 * pairs))
        points = (heads[..., first] + 1j * heads[..., second]) * turn
        turned[..., first], turned[..., second] = points.real, points.imag
        return turned


# ------------------------------------------------------------------ the same decoder with one property less

def mutations(decoder):
    """Name → the decoder with one mistake, for every mistake that makes another decoder of it: a test must see each of them."""
    def layers(**changes):
        return replace(decoder, layers=tuple(replace(layer, **{key: change(layer) for key, change in changes.items()}) for layer in decoder.layers))

    rotaries = [layer.rotary for layer in decoder.layers]
    some = next(rotary for rotary in rotaries if rotary)
    pairs = decoder.head_size // 2
    plain = Rotary(tuple(10000.0 ** (-np.arange(pairs) / pairs)))
    found = {
        "no window": layers(window=lambda layer: None),
        "window + 1": layers(window=lambda layer: layer.window and layer.window + 1),
        "window in all layers": layers(window=lambda layer: next((one.window for one in decoder.layers if one.window), None)),
        "rotary of base 10000 without scaling": layers(rotary=lambda layer: layer.rotary and plain),
        "rotary magnitude 1": layers(rotary=lambda layer: layer.rotary and replace(layer.rotary, magnitude=1.0)),
        "positions in all layers": layers(rotary=lambda layer: layer.rotary or some),
        "rotary of the first layer in all layers": layers(rotary=lambda layer: layer.rotary and some),
        "no positions": layers(rotary=lambda layer: None),
        "interleaved rotary": replace(decoder, interleaved=True),
        "scale of the head size": replace(decoder, attention_scale=decoder.head_size**-0.5),
        "no attention softcap": replace(decoder, attention_cap=None),
        "no logit softcap": replace(decoder, logit_cap=None),
        "embedding scale 1": replace(decoder, embedding_scale=1.0),
        "residual scale 1": replace(decoder, residual_scale=1.0),
        "logit scale 1": replace(decoder, logit_scale=1.0),
        "norm offset 0": replace(decoder, norm_offset=0.0),
        "norms before attention and MLP alone": replace(decoder, norms="before") if decoder.norms == "around" else decoder,
        "no norm of queries and keys": replace(decoder, query_norm="none"),
        "the other activation": replace(decoder, activation="silu" if decoder.activation != "silu" else "gelu_pytorch_tanh"),
        "gate and up exchanged": replace(decoder, exchanged=True),
        "key heads in cycles": decoder if decoder.kv_heads in (1, decoder.heads) else replace(decoder, head_order="cycles"),
        "no biases": replace(decoder, biased=False),
        "no sinks": replace(decoder, sinks=False),
    }
    if decoder.experts:
        found |= {f"experts: {name}": replace(decoder, experts=changed) for name, changed in expert_mutations(decoder.experts).items()}
        if len(decoder.experts.layers) == len(decoder.layers):
            del found["the other activation"]
    return {name: mutant for name, mutant in found.items() if mutant != decoder}


def expert_mutations(experts):
    return {
        "one more": replace(experts, chosen=experts.chosen + 1),
        "one less": replace(experts, chosen=experts.chosen - 1),
        "softmax over the others too": replace(experts, over="all", normalizes=False),
        "weights with the sum 1": replace(experts, normalizes=True) if experts.over == "all" else experts,
        "the next one": replace(experts, order=1),
        "alpha 1": replace(experts, alpha=1.0),
        "up alone": replace(experts, shift=0.0),
        "no limit": replace(experts, limit=math.inf),
    }
