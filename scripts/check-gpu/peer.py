#!/usr/bin/env python3
"""The same shapes by PyTorch and transformers: tokens/s by rows, random weights in half floats.

Usage: peer.py < request.json      {"device": "cuda", "prompt": 128, "decoded": 64, "prefill": 448, "rounds": 3, "rows": [1, 4], "seconds": 60,
                                    "models": {"135 M": {…config.json}}}
Prints one JSON object a line: {"versions": …}, {"shape", "mode", "rows", "rate"}, {"shape", "mode", "prefill"}, {"problem": …}. The mode is
"eager", or "compiled" for torch.compile with CUDA graphs and a static cache.
"""
import inspect
import json
import statistics
import sys
import time


def say(**fields):
    print(json.dumps(fields), flush=True)


def main():
    request = json.load(sys.stdin)
    try:
        import torch
        import transformers
        from transformers import LlamaConfig, LlamaForCausalLM
    except ImportError as error:
        say(problem=f"not installed: {error.name}")
        return
    device = request["device"]
    if device == "cuda" and not torch.cuda.is_available():
        say(problem="not installed: PyTorch has no CUDA")
        return
    say(versions=f"PyTorch {torch.__version__}, transformers {transformers.__version__}")
    end = time.monotonic() + request["seconds"]
    for mode in ("eager", "compiled"):
        for shape, config in request["models"].items():
            if time.monotonic() > end or (mode == "compiled" and end - time.monotonic() < request["seconds"] / 3):
                say(shape=shape, mode=mode, problem="skipped: no time")
                continue
            try:
                measure(torch, LlamaForCausalLM, LlamaConfig, request, (shape, config, mode, end))
            except Exception as error:  # One model must not cost the others: out of memory, an unknown argument.
                say(shape=shape, mode=mode, problem=f"{type(error).__name__}: {str(error)[:200]}")


def measure(torch, model_class, config_class, request, work):
    shape, config, mode, end = work
    device = request["device"]
    torch.set_default_dtype(torch.float16)
    with torch.device(device):
        model = model_class(config_class(**{key: value for key, value in config.items() if key != "architectures"})).eval()
    step = torch.compile(model.forward, mode="reduce-overhead", dynamic=False) if mode == "compiled" else model.forward
    with torch.inference_mode():
        times = [prefill(torch, model, request, device) for _ in range(request["rounds"] + 1)][1:]
        say(shape=shape, mode=mode, prefill=request["prefill"] / statistics.median(times))
        for rows in request["rows"]:
            rates = []
            for _ in range(request["rounds"] + 1):
                if time.monotonic() > end:
                    break
                rates.append(decode(torch, model, step, (request, device, rows, mode)))
            if len(rates) > 1:
                say(shape=shape, mode=mode, rows=rows, rate=statistics.median(rates[1:]))
    del model, step
    if device == "cuda":
        torch.cuda.empty_cache()


def wait(torch, device):
    if device == "cuda":
        torch.cuda.synchronize()


def prefill(torch, model, request, device):
    ids = torch.randint(0, 256, (1, request["prefill"]), device=device)
    wait(torch, device)
    began = time.perf_counter()
    model(input_ids=ids, use_cache=True, logits_to_keep=1).logits.argmax(-1)
    wait(torch, device)
    return time.perf_counter() - began


def decode(torch, model, step, work):
    """Tokens/s of all rows together; the ids stay on the device."""
    request, device, rows, mode = work
    ids = torch.randint(0, 256, (rows, request["prompt"]), device=device)
    places = torch.arange(request["prompt"], device=device)
    more = {"past_key_values": static_cache(model, rows, request, device)} if mode == "compiled" else {}
    # Some versions of transformers take the places of the tokens from the caller, the others from the cache.
    takes_places = "cache_position" in inspect.signature(model.forward).parameters
    at = (lambda tensor: {"cache_position": tensor}) if takes_places else (lambda tensor: {})
    out = model(input_ids=ids, use_cache=True, logits_to_keep=1, **at(places), **more)
    cache, best = out.past_key_values, out.logits[:, -1:].argmax(-1)
    place = places[-1:] + 1
    wait(torch, device)
    began = time.perf_counter()
    for _ in range(request["decoded"]):
        if mode == "compiled":
            torch.compiler.cudagraph_mark_step_begin()
        out = step(input_ids=best, past_key_values=cache, use_cache=True, **at(place))
        best, place = out.logits[:, -1:].argmax(-1).clone(), place + 1
    wait(torch, device)
    return rows * request["decoded"] / (time.perf_counter() - began)


def static_cache(model, rows, request, device):
    from transformers import StaticCache

    length = request["prompt"] + request["decoded"] + 1
    try:
        return StaticCache(config=model.config, max_cache_len=length)
    except TypeError:  # Before transformers 4.56.
        return StaticCache(config=model.config, max_batch_size=rows, max_cache_len=length, device=device, dtype=model.dtype)


if __name__ == "__main__":
    main()
