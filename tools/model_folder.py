"""The files beside the weights in a model folder, for random models over bytes, in the layout of the hub or of ONNX Runtime GenAI."""
import json
import os

from byte_tokenizer import tokenizer
from onnx_attention import NAMES


def write(folder, name, content):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        json.dump(content, file, ensure_ascii=False, indent=1)
        file.write("\n")


def write_tokenizer(folder, config):
    """Ids 0 to 255 are the bytes, then <s> and </s>. A prompt of n bytes is n tokens."""
    specials = {"<s>": config["bos_token_id"], "</s>": config["eos_token_id"]}
    added = [{"id": token_id, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
             for content, token_id in specials.items()]
    write(folder, "tokenizer.json", {**tokenizer(256), "added_tokens": added})
    write(folder, "tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False, "bos_token": "<s>", "eos_token": "</s>",
        "model_max_length": config["max_position_embeddings"]})


def write_hub_folder(folder, config):
    """Writes config.json, generation_config.json and the tokenizer's files, where transformers.js finds them: beside onnx/."""
    halves = {"q4f16": "float16", "fp16": "float16"}
    write(folder, "config.json", {
        **config, "hidden_act": "silu", "torch_dtype": "float32", "use_cache": True,
        "transformers.js_config": {"use_external_data_format": {"model.onnx": 1}, "kv_cache_dtype": halves}})
    write(folder, "generation_config.json", {"bos_token_id": config["bos_token_id"], "eos_token_id": [config["eos_token_id"]], "do_sample": False})
    write_tokenizer(folder, config)


def genai_config(config, layout, filename):
    """The description of a decoder for ONNX Runtime GenAI. %d is the number of the layer."""
    names = {name: pattern.format("%d") for name, pattern in NAMES[layout.names].items()}
    caches = {side: [name for name in names if name.startswith(side)] for side in ("past", "present")}
    takes = ["input_ids", "attention_mask", *(["position_ids"] if layout.position_ids else [])]
    return {
        "model": {
            "bos_token_id": config["bos_token_id"], "eos_token_id": [config["eos_token_id"]], "pad_token_id": config["eos_token_id"],
            "context_length": config["max_position_embeddings"],
            "decoder": {
                "session_options": {"log_id": "onnxruntime-genai", "provider_options": []}, "filename": filename,
                "head_size": config["head_dim"], "hidden_size": config["hidden_size"],
                "num_attention_heads": config["num_attention_heads"], "num_hidden_layers": config["num_hidden_layers"],
                "num_key_value_heads": config["num_key_value_heads"],
                "inputs": {**{name: names[name] for name in takes}, **{f"{name}_names": names[name] for name in caches["past"]}},
                "outputs": {"logits": names["logits"], **{f"{name}_names": names[name] for name in caches["present"]}}},
            "type": config["model_type"], "vocab_size": config["vocab_size"]},
        "search": {
            "diversity_penalty": 0.0, "do_sample": False, "early_stopping": True, "length_penalty": 1.0,
            "max_length": config["max_position_embeddings"], "min_length": 0, "no_repeat_ngram_size": 0, "num_beams": 1, "num_return_sequences": 1,
            "past_present_share_buffer": not layout.concat, "repetition_penalty": 1.0, "temperature": 1.0, "top_k": 1, "top_p": 1.0}}


def write_genai_folder(folder, config, layout, filename):
    """Writes genai_config.json and the tokenizer's files. Such a folder has no config.json."""
    write(folder, "genai_config.json", genai_config(config, layout, filename))
    write_tokenizer(folder, config)
