#!/usr/bin/env python3
"""Makes test/checkpoints/expected.json again, byte for byte, from test/checkpoints/models.json.

Usage: test_checkpoints.py [--out FILE] [MODEL…]      (a list of models: prints their entries, writes nothing)
Needs: Debian's python3-numpy. Takes some minutes.

For each model: the sha256 of its tensors, and how it continues four prompts greedily, by reference_families.py:
  {"models": {NAME: {"sha256", "continuations": [{"prompt": ids, "ids": the following ids, "margins", "logprobs": of each}],
                     "mutations": {MISTAKE: {"ids": steps whose best id changes, "logprob": largest change of a log-probability}}}}}
A margin is the distance of the best logit from the second, in standard deviations of all logits of that step. Each mutation is the decoder with
one property less, or with one mistake; the script ends with an error if the expected ids and log-probabilities do not reveal it.
"""
import json
import os
import re
import sys

import numpy as np

from random_checkpoint import tensors_of
from reference_families import Reference, decoder_of, mutations

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "test", "checkpoints")
LENGTHS, STEPS, LEAST_MARGIN, LEAST_DISTINCT = (1, 5, 40, 150), 24, 0.05, 8
LETTERS = range(32, 127)                             # printable ASCII: a prompt can be sent as text
REVEALED = 0.01                                      # change of a log-probability that the test sees; it allows 0.002


def read_models():
    with open(os.path.join(HERE, "models.json"), encoding="utf-8") as file:
        text = json.load(file)
    return text["context"], {name: {**model, "gains": {**text["gains"], **model.get("gains", {})}} for name, model in text["models"].items()}


def margin(logits):
    second, best = np.partition(logits, -2)[-2:]
    return float((best - second) / logits.std())


def logprobs(logits):
    """[S, vocab] → the natural logs of the probabilities."""
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def continue_greedily(reference, prompt, end):
    """→ (ids, margins, log-probabilities) of all steps, or None as soon as a margin is too narrow or the sequence ends."""
    ids, margins, probabilities = list(prompt), [], []
    for _ in range(STEPS):
        logits = reference.logits(ids)[-1]
        best = int(logits.argmax())
        margins.append(margin(logits))
        if margins[-1] < LEAST_MARGIN or best == end:
            return None
        probabilities.append(float(logprobs(logits[None])[0, best]))
        ids.append(best)
    return ids[len(prompt):], margins, probabilities


def find_continuation(reference, length, end):
    """The first of a seeded series of prompts whose continuation has wide margins and many different ids."""
    for attempt in range(len(LETTERS) if length == 1 else 400):
        prompt = [LETTERS[attempt]] if length == 1 else np.random.default_rng([length, attempt]).choice(LETTERS, length).tolist()
        found = continue_greedily(reference, prompt, end)
        if found is not None and len(set(found[0])) >= LEAST_DISTINCT:
            ids, margins, probabilities = found
            return {"prompt": prompt, "ids": ids, "margins": [float(f"{step:.3g}") for step in margins], "logprobs": [round(step, 4) for step in probabilities]}
    raise SystemExit(f"No prompt of {length} ids leaves margins of {LEAST_MARGIN} and {LEAST_DISTINCT} different ids: use another seed or other gains.")


def changes(reference, continuations):
    """The part of the expected values that another decoder would change: {ids, logprob}."""
    ids, largest = 0, 0.0
    for one in continuations:
        sequence = one["prompt"] + one["ids"][:-1]
        rows = logprobs(reference.logits(sequence)[-STEPS:])
        ids += int((rows.argmax(-1) != one["ids"]).sum())
        largest = max(largest, float(np.abs(rows[np.arange(STEPS), one["ids"]] - one["logprobs"]).max()))
    return {"ids": ids, "logprob": float(f"{largest:.3g}")}


def entry_of(name, model, context):
    tensors, digest = tensors_of(model)
    decoder = decoder_of(model["config"], context)
    reference = Reference(decoder, tensors)
    continuations = [find_continuation(reference, length, model["config"]["eos_token_id"]) for length in LENGTHS]
    biased = any(tensor.endswith(".bias") for tensor in tensors)
    mutants = mutations(decoder)
    if not biased:
        del mutants["no biases"]
    other = decoder_of(model["config"], 1 if context > model["config"].get("original_max_position_embeddings", context) else 10**9)
    if other != decoder:
        mutants["the other factors of longrope"] = other
    found = {mistake: changes(Reference(mutant, tensors), continuations) for mistake, mutant in mutants.items()}
    unseen = [mistake for mistake, change in found.items() if change["ids"] == 0 and change["logprob"] < REVEALED]
    least, distinct = min(min(one["margins"]) for one in continuations), [len(set(one["ids"])) for one in continuations]
    print(f"{name:<18} least margin {least:<7} different ids {distinct}  " + ", ".join(f"{mistake}: {change['ids']}" for mistake, change in found.items()), flush=True)
    if unseen:
        raise SystemExit(f"The expected ids of {name} do not reveal: {', '.join(unseen)}")
    return {"sha256": digest, "continuations": continuations, "mutations": found}


def main():
    arguments = sys.argv[1:]
    out = os.path.join(HERE, "expected.json")
    if arguments[:1] == ["--out"]:
        out, arguments = arguments[1], arguments[2:]
    context, models = read_models()
    entries = {name: entry_of(name, models[name], context) for name in arguments or models}
    text = json.dumps({"models": entries}, indent=1)
    flat = re.compile(r"\[[\d\s.,e-]*\]|\{\s*\"ids\": \d[^}]*\}")      # lists of numbers, and changes, on one line each
    text = flat.sub(lambda match: " ".join(match.group().split()).replace("[ ", "[").replace(" ]", "]"), text) + "\n"
    if arguments:
        return
    with open(out, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    main()
