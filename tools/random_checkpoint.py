"""The tensors of a random checkpoint: the same bytes as test/support/checkpoints/tensors.ts makes, without a library.

Element i of a tensor is centre + width · u(hash(i, seed of the name)), with u in (-1, 1): integers of 32 bits, one product and one sum in
float64, one rounding to float32, and for float16 and bfloat16 one more, to nearest even.

The matrices of experts are exact with 8 bits: in each block of 32 elements, they are whole multiples of a power of 2, and the largest one
is the 127-fold of it.
"""
import hashlib

import numpy as np

DTYPES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}


def shapes_of(config, biases):
    """Name → shape, in the order of the file. biases: the kinds of matrices that have one ("q_proj")."""
    kind, hidden, inner = config["model_type"], config["hidden_size"], config["intermediate_size"]
    experts = config.get("num_experts") or config.get("num_local_experts") or 0
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    size = config.get("head_dim") or hidden // heads
    queries, keys = heads * size, kv_heads * size
    shapes = {"model.embed_tokens.weight": [config["vocab_size"], hidden]}
    for layer in range(config["num_hidden_layers"]):
        attention = {"q_proj": [queries, hidden], "k_proj": [keys, hidden], "v_proj": [keys, hidden]}
        mlp = {"gate_proj": [inner, hidden], "up_proj": [inner, hidden]}
        if kind == "phi3":
            attention, mlp = {"qkv_proj": [queries + 2 * keys, hidden]}, {"gate_up_proj": [2 * inner, hidden]}
        mlp["down_proj"] = [hidden, inner]
        if kind == "gpt_oss" or kind == "qwen3_moe" and layer not in config["mlp_only_layers"]:
            width = inner if kind == "gpt_oss" else config["moe_intermediate_size"]
            one = {"gate_proj": [width, hidden], "up_proj": [width, hidden], "down_proj": [hidden, width]}
            if config.get("quantization_config"):
                one = {}
            mlp = {"router" if kind == "gpt_oss" else "gate": [experts, hidden],
                   **{f"experts.{index}.{part}": shape for index in range(experts) for part, shape in one.items()}}
        if kind in ("qwen3", "qwen3_moe", "gemma3_text"):
            attention |= {"q_norm": [size], "k_norm": [size]}
        if kind == "olmo2":
            attention |= {"q_norm": [queries], "k_norm": [keys]}
        norms = ["input", "post_attention"]
        if kind == "olmo2":
            norms = ["post_attention", "post_feedforward"]
        if kind in ("gemma2", "gemma3_text"):
            norms += ["pre_feedforward", "post_feedforward"]
        parts = {**{f"self_attn.{part}": shape for part, shape in {**attention, "o_proj": [hidden, queries]}.items()},
                 **{f"mlp.{part}": shape for part, shape in mlp.items()},
                 **{f"{place}_layernorm": [hidden] for place in norms}}
        for part, shape in parts.items():
            shapes[f"model.layers.{layer}.{part}.weight"] = shape
            if part.split(".")[-1] in biases:
                shapes[f"model.layers.{layer}.{part}.bias"] = shape[:1]
        if kind == "gpt_oss":
            shapes[f"model.layers.{layer}.self_attn.sinks"] = [heads]
        if config.get("quantization_config"):
            for part, rows, width in (("gate_up", 2 * inner, hidden), ("down", hidden, inner)):
                name = f"model.layers.{layer}.mlp.experts.{part}_proj"
                shapes |= {f"{name}_blocks": [experts, rows, width // 32, 16], f"{name}_scales": [experts, rows, width // 32], f"{name}_bias": [experts, rows]}
    shapes["model.norm.weight"] = [hidden]
    if not config["tie_word_embeddings"]:
        shapes["lm_head.weight"] = [config["vocab_size"], hidden]
    return shapes


def seed_of(name, seed):
    """FNV-1a of the name, begun with the seed of the model."""
    value = 0x811C9DC5 ^ seed
    for byte in name.encode("ascii"):
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


def uniform(name, seed, count):
    """count odd multiples of 2^-24 in (-1, 1), float64: the last steps of MurmurHash3 over a counter."""
    x = np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B1) + np.uint32(seed_of(name, seed))
    x = (x ^ x >> np.uint32(16)) * np.uint32(0x85EBCA6B)
    x = (x ^ x >> np.uint32(13)) * np.uint32(0xC2B2AE35)
    x ^= x >> np.uint32(16)
    return ((x >> np.uint32(8)).astype(np.float64) * 2 + 1 - 2.0**24) * 2.0**-24


def exact_steps(steps, width):
    """steps in (-1, 1) → multiples of a power of 2 up to the 127-fold, one power for all odd blocks of 32 and one for the even ones."""
    blocks = np.floor(steps * 127 + 0.5).reshape(-1, 32)
    blocks[:, 0] = np.where(blocks[:, 0] < 0, -127, 127)
    scales = 2.0 ** (np.floor(np.log2(width / 127)) - np.arange(len(blocks)) % 2)
    return (blocks * scales[:, None]).reshape(-1)


E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6])


def mxfp4_bytes(name, steps):
    """steps in (-1, 1) → bytes of blocks, or the exponents of scales: 122 and 123, one more for down_proj."""
    found = np.floor((steps + 1) * 128).astype(np.uint8)
    return found if name.endswith("_blocks") else (found & 1) + np.uint8(123 if "down" in name else 122)


def add_experts(tensors):
    """Adds the matrices and biases of each expert, as convert_moe_packed_tensors of transformers reads MXFP4: the low half of a byte first; the even rows are gate."""
    for name in [name for name in tensors if name.endswith("_blocks")]:
        whole, start, is_pair = name.removesuffix("_blocks"), name[:name.index("experts.") + 8], "gate_up" in name
        blocks, scales, biases = tensors.pop(name), tensors.pop(f"{whole}_scales"), tensors.pop(f"{whole}_bias")
        values = np.stack([E2M1[blocks & 15], E2M1[blocks >> 4]], -1).reshape(*scales.shape, 32) * 2.0 ** (scales.astype(int) - 127)[..., None]
        for index, (weight, bias) in enumerate(zip(values.reshape(*scales.shape[:2], -1), biases)):
            for part, rows in (("gate", slice(0, None, 2)), ("up", slice(1, None, 2))) if is_pair else (("down", slice(None)),):
                tensors[f"{start}{index}.{part}_proj.weight"], tensors[f"{start}{index}.{part}_proj.bias"] = weight[rows], bias[rows]


def bfloat16_bits(values):
    """float32 → the bits of bfloat16, rounded to nearest even."""
    bits = values.view(np.uint32)
    return (bits + np.uint32(0x7FFF) + (bits >> np.uint32(16) & np.uint32(1)) >> np.uint32(16)).astype(np.uint16)


def tensors_of(model):
    """model: an entry of models.json, with all gains. → (name → float64 values as stored, sha256 of all tensors)"""
    tensors, digest = {}, hashlib.sha256()
    for name, shape in shapes_of(model["config"], model.get("biases", [])).items():
        part, ending = name.split(".")[-2:]
        group = "bias" if ending.endswith("_bias") else ending if ending in ("bias", "sinks") else "norm" if len(shape) == 1 else part
        gain = model["gains"].get(group, model["gains"]["matrix"])
        centre = 1.0 if group == "norm" and not model["config"]["model_type"].startswith("gemma") else 0.0
        width = gain * np.sqrt(3 / shape[1]) if len(shape) == 2 and group != "bias" else gain
        steps = uniform(name, model["seed"], int(np.prod(shape)))
        if name.endswith(("_blocks", "_scales")):
            stored = mxfp4_bytes(name, steps)
            digest.update(f"{name} U8 {shape}\n".encode("ascii"))
            digest.update(stored.tobytes())
            tensors[name] = stored.reshape(shape)
            continue
        is_exact = ".experts." in name and len(shape) == 2 and group != "bias"
        values = (exact_steps(steps, width) if is_exact else centre + width * steps).astype(np.float32)
        if model["dtype"] == "bfloat16":
            stored = bfloat16_bits(values)
            values = (stored.astype(np.uint32) << np.uint32(16)).view(np.float32)
        else:
            stored = values = values.astype(model["dtype"])
        digest.update(f"{name} {DTYPES[model['dtype']]} {shape}\n".encode("ascii"))
        digest.update(stored.tobytes())
        tensors[name] = values.astype(np.float64).reshape(shape)
    add_experts(tensors)
    return tensors, digest.hexdigest()
