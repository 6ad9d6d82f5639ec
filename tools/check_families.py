#!/usr/bin/env python3
"""Compares reference_families.py with transformers: the logits of every model of test/checkpoints/models.json, in float64.

Usage: check_families.py [MODEL…]
Needs: pip install torch transformers numpy (checked with transformers 5.18.0, torch 2.13.0). The project needs neither.

transformers computes the frequencies of rotary embeddings, and softmax and norms, in float32: differences up to 1e-4 are rounding. It chooses
the long factors of longrope by the length of the sequence and not by the context: a model whose context is longer than
`original_max_position_embeddings` is compared with sequences longer than that.
"""
import sys

import numpy as np
import torch
import transformers

from random_checkpoint import tensors_of
from reference_families import Reference, decoder_of
from test_checkpoints import read_models


def logits_of_transformers(config, tensors, ids):
    keys = {"pad_token_id": None, **{key: value for key, value in config.items() if key not in ("architectures", "torch_dtype")}}
    model = getattr(transformers, config["architectures"][0])(transformers.AutoConfig.for_model(**keys, attn_implementation="eager")).double().eval()
    state = {name: torch.from_numpy(array) for name, array in tensors.items()}
    if config["tie_word_embeddings"]:
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    model.load_state_dict(state, strict=True)
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].numpy()


def main():
    context, models = read_models()
    worst = 0.0
    for name in sys.argv[1:] or models:
        config = models[name]["config"]
        if config["model_type"] in ("qwen3_moe", "gpt_oss"):
            print(f"{name:<18} left out: transformers has all experts of a layer in one tensor", flush=True)
            continue
        tensors, _ = tensors_of(models[name])
        reference = Reference(decoder_of(config, context), tensors)
        differences = []
        for length in (1, 40, 174):
            long = (config.get("rope_scaling") or {}).get("type") == "longrope" and context > config["original_max_position_embeddings"]
            if long and length <= config["original_max_position_embeddings"]:
                continue
            ids = np.random.default_rng([length]).integers(32, 127, length).tolist()
            expected = logits_of_transformers(config, tensors, ids)
            differences.append(float(np.abs(reference.logits(ids) - expected).max() / expected.std()))
        worst = max(worst, *differences)
        print(f"{name:<18} largest difference, in standard deviations of the logits: {max(differences):.2g}", flush=True)
    sys.exit(f"The references differ by {worst:.2g}." if worst > 1e-3 else 0)


if __name__ == "__main__":
    main()
