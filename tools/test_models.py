#!/usr/bin/env python3
"""Makes all of test/models again, byte for byte: the models, the files beside them, and expected.json.

Usage: test_models.py [FOLDER]        (FOLDER: where to; default: test/models of this repository)
Needs: Debian's python3-onnx and python3-numpy. Takes a minute or two.

expected.json says for each model what its inputs and outputs are, and how it continues some prompts greedily, by reference_llama.py:
  {"models": {FILE: {"made": arguments of onnx_llama.py, "vocab", "inputs": {name: type and shape}, "outputs", "leastMargin",
                     "continuations": [{"prompt": ids, "ids": those that follow, "margins": of each}], "refused"?: name of the input}}}
A margin is how far the best logit is above the second, in standard deviations of all logits of that step. leastMargin is the least of a
model's, by what a runtime may round: so the ids must be the same on every device.
"""
import json
import os
import re
import sys

from onnx import TensorProto

import onnx_llama
from model_folder import write_genai_folder, write_hub_folder
from reference_llama import Reference, find_continuation

STEPS = 24
EXACT, HALF, ROUNDED = 0.05, 0.1, 2.0                # lowest margins: float32 only; float16; activations rounded to 8 bits
LEAST, BYTES, Q4 = "--shape least", "--shape bytes --width 0.3", "--shape bytes --width 0.3 --dtype q4 --accuracy-level 0"

# file: (arguments, seed, lowest margin)
MODELS = {
    "fp32/model.onnx": (LEAST, 0, ROUNDED),
    "external/model.onnx": (f"{LEAST} --dtype q4 --external", 0, ROUNDED),
    "asked/model.onnx": (f"{LEAST} --dtype q4 --last-logits", 0, ROUNDED),
    "softcap/model.onnx": (f"{LEAST} --dtype q4 --softcap 0.1", 0, EXACT),
    "integer/model.onnx": (f"{LEAST} --dtype q4 --integer-head", 0, ROUNDED),
    "fp16/model.onnx": (f"{BYTES} --dtype fp16", 11, HALF),
    "q4f16/model.onnx": (f"{BYTES} --dtype q4f16 --accuracy-level 0", 11, HALF),
    "mixed/model.onnx": (f"{BYTES} --dtype q4f16 --accuracy-level 0 --float-logits --position-ids --last-logits", 11, HALF),
    "position-ids/model.onnx": (f"{Q4} --position-ids", 4, EXACT),
    "concat/model.onnx": (f"{BYTES} --concat", 5, EXACT),
    "concat-position-ids/model.onnx": (f"{Q4} --concat --position-ids", 6, EXACT),
    "concat-fp16/model.onnx": (f"{BYTES} --concat --dtype fp16", 11, HALF),
    "concat-asked/model.onnx": (f"{Q4} --concat --position-ids --last-logits", 8, EXACT),
    "combined/model.onnx": (f"{Q4} --concat --names combined", 9, EXACT),
    "qkv-bias/model.onnx": (f"{Q4} --qkv-bias", 10, EXACT),
    "qk-norm/model.onnx": (f"{Q4} --qk-norm", 11, EXACT),
    "qk-norm-position-ids/model.onnx": (f"{Q4} --qk-norm --position-ids", 12, EXACT),
    "without-attention/model.onnx": (f"{Q4} --layers 3 --without-attention 1", 13, EXACT),
    "shared-caches/model.onnx": (f"{Q4} --layers 3 --concat --shared-caches 1", 14, EXACT),
    "underscores/model.onnx": (f"{Q4} --names underscores", 15, EXACT),
    "split/model.onnx": (f"{Q4} --external 2", 16, EXACT),
    "renamed/model.onnx": (f"{Q4} --names short --position-ids", 17, EXACT),
    "encoder/model.onnx": (f"{Q4} --encoder", 18, None),
    "hub/onnx/model.onnx": (f"{BYTES} --position-ids --external", 27, EXACT),
    "hub/onnx/model_fp16.onnx": (f"{BYTES} --position-ids --dtype fp16", 27, HALF),
    "hub/onnx/model_q4.onnx": (f"{Q4} --position-ids", 27, EXACT),
    "hub/onnx/model_q4f16.onnx": (f"{BYTES} --position-ids --dtype q4f16 --accuracy-level 0", 27, HALF),
    "genai/model.onnx": (f"{Q4} --external --external-suffix .data", 20, EXACT),
}
HUB_FOLDERS, GENAI_FOLDERS, REFUSED = ("hub",), ("genai", "renamed"), "encoder_hidden_states"


def ports(values):
    """{name: "int64 [batch_size, sequence_length]"}"""
    names = {TensorProto.INT64: "int64", TensorProto.FLOAT: "float32", TensorProto.FLOAT16: "float16"}
    return {value.name: f"{names[value.type.tensor_type.elem_type]} "
                        f"[{', '.join(dim.dim_param or str(dim.dim_value) for dim in value.type.tensor_type.shape.dim)}]" for value in values}


def make(folder, file, made, seed, least_margin):
    """Writes one model. → its entry in expected.json"""
    path = os.path.join(folder, file)
    made = f"{made} --seed {seed}"
    args = onnx_llama.arguments([*made.split(), "--out", path])
    config, weights, layout = onnx_llama.described(args)
    model = onnx_llama.build(config, weights, layout)
    entry = {"made": made, "vocab": config["vocab_size"], "inputs": ports(model.graph.input), "outputs": ports(model.graph.output)}
    onnx_llama.save(model, path, args.external, args.external_suffix)
    top = file.split("/")[0]
    if top in HUB_FOLDERS:
        write_hub_folder(os.path.join(folder, top), config)
    if top in GENAI_FOLDERS:
        write_genai_folder(os.path.join(folder, top), config, layout, os.path.basename(file))
    if least_margin is None:
        return {**entry, "refused": REFUSED}
    lengths, distinct = ((1, 5, 40), 1) if args.shape == "least" else ((1, 5, 40, 150), 8)
    reference = Reference(config, weights, layout)
    continuations = [find_continuation(reference, length, STEPS, least_margin, distinct) for length in lengths]
    return {**entry, "leastMargin": least_margin, "continuations": continuations}


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "test", "models")
    models = {}
    for file, (made, seed, least_margin) in MODELS.items():
        models[file] = make(folder, file, made, seed, least_margin)
        least = min((step for one in models[file].get("continuations", []) for step in one["margins"]), default=None)
        print(f"{file:<34}{os.path.getsize(os.path.join(folder, file)):>8} bytes   least margin {least}", flush=True)
    text = json.dumps({"models": models}, indent=1)
    lists = re.compile(r"\[[\d\s.,e-]*\]")           # lists of numbers on one line each
    with open(os.path.join(folder, "expected.json"), "w", encoding="utf-8") as file:
        file.write(lists.sub(lambda match: " ".join(match.group().split()).replace("[ ", "[").replace(" ]", "]"), text) + "\n")


if __name__ == "__main__":
    main()
