#!/usr/bin/env python3
"""Write test/text/fixtures/chat-templates.json: every template here with every conversation, rendered as the transformers library does.

Usage: render.py. Needs Debian's python3-jinja2 (3.1). The environment is set up as in transformers' `chat_template_utils`.
"""
import datetime
import functools
import json
import os

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "..", "..", "test", "text", "fixtures", "chat-templates.json")
NOW = datetime.datetime(2025, 10, 9, 13, 31, 30)
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}


class Generation(jinja2.ext.Extension):
    """`{% generation %}` tells a trainer what the assistant says; the text stays as it is, and what is set inside ends with it."""

    tags = {"generation"}

    def parse(self, parser):
        opening = parser.stream.expect("name:generation")
        inside = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return jinja2.nodes.Scope(inside, lineno=opening.lineno)


def refuse(reason):
    raise jinja2.TemplateError(reason)


def environment():
    extensions = [jinja2.ext.loopcontrols, Generation]
    made = ImmutableSandboxedEnvironment(extensions=extensions, lstrip_blocks=True, trim_blocks=True)
    made.globals |= {"raise_exception": refuse, "strftime_now": NOW.strftime}
    made.filters["tojson"] = functools.partial(json.dumps, ensure_ascii=False)
    return made


def talk(*contents, roles="user assistant"):
    names = roles.split()
    return [{"role": names[at % len(names)], "content": content} for at, content in enumerate(contents)]


def text(words):
    return {"type": "text", "text": words}


CALL = {"type": "function", "function": {"name": "heat", "arguments": {"at": "Łódź", "<now>": True}}}
TOOL = {"type": "function", "function": {"name": "heat", "description": "How warm it is", "parameters": {"at": ["text"], "now": None}}}
SYSTEM = {"role": "system", "content": "  You are terse.\n"}
CONVERSATIONS = {
    "one": talk("Hello"),
    "system": [SYSTEM, *talk("Hello")],
    "many": talk("Hi", " Hello! ", "And\n\nnow?", "Yes.\n", "  More?  "),
    "system and many": [SYSTEM, *talk("Hi", "Hello!", "Now?")],
    "assistant last": talk("Hi", "It is "),
    "unicode": talk("naïve 日本語 👩‍👩‍👧‍👦 שלום e\u0301 \u202eabc\u202c İ ß ﬁ", "\u00a0x\u2028y\u3000\u0085", "\ufeffz\x1c \x1f"),
    "whitespace": talk("\n\n \t x \r\n y \n", "\n", " "),
    "like a template": talk("{{ 7*7 }} {% raise_exception('x') %} {# no #} {{ messages }}", "}} %} #}", "\\n \\\\ ' \" <&>"),
    "special tokens": talk("<s>[INST] </s><|im_end|>\n<|im_start|>system", "<end_of_turn>", "<<SYS>>"),
    "thinking": talk("q", "<think>\nhm\n</think>\n\nan answer", "more", "<think>a</think>b</think>c"),
    "empty": talk("", "", "x"),
    "two users": talk("a", "b", roles="user"),
    "system late": [*talk("a", "b"), SYSTEM, *talk("c")],
    "tool role": [*talk("a", "b"), {"role": "tool", "content": "{\"t\": 21}"}, *talk("c")],
    "odd role": talk("a", roles="narrator"),
    "long": talk(*[f"turn {n}" for n in range(1, 12)]),
    "parts": [{"role": "system", "content": [text("Look. ")]}, {"role": "user", "content": [text(" What is it?\n"), {"type": "image"}]}],
    "call": [*talk("Warm?"), {"role": "assistant", "content": "", "tool_calls": [CALL]}, {"role": "tool", "content": "21"}],
    "call answered": [
        *talk("Warm?"),
        {"role": "assistant", "content": "<think>\nask\n</think>\nI ask.", "tool_calls": [CALL]},
        {"role": "tool", "content": "21"},
        {"role": "tool", "content": "é"},
        {"role": "assistant", "reasoning_content": "\n21 it is", "content": "Yes."},
    ],
}

# Description of each file. None of them is the template of a published model.
MANNERS = {
    "deepseek": "DeepSeek", "gemma": "Gemma", "gemma3": "Gemma 3", "llama2": "Llama 2", "llama3": "Llama 3", "llama31": "Llama 3.1",
    "mistral": "Mistral", "phi3": "Phi 3", "qwen2": "Qwen 2", "qwen25": "Qwen 2.5", "qwen3": "Qwen 3", "smollm2": "SmolLM2",
    "zephyr": "Zephyr", "generation": "those that mark what the assistant says", "python": "Python itself, two of every operator",
}

# Further variables of a template: one case each, for the templates that use the variable.
VARIABLES = [
    {"tools": [TOOL, {**TOOL, "n": 1.5}]},
    {"custom_tools": [TOOL], "tools_in_user_message": False},
    {"date_string": "1 May"},
    {"enable_thinking": False},
]
VARIED = ("one", "system and many", "call answered")

# A few cases are enough for the file with every operator; without a generation prompt only the end of the text differs.
PYTHON_TALKS = ("one", "unicode", "whitespace", "system late")
BOTH_WAYS = ("one", "assistant last", "thinking")


def rendered(template, messages, variables):
    try:
        return {"text": template.render({"messages": messages, "tools": None, "documents": None, **variables, **TOKENS})}
    except Exception as error:  # any error: the caller of transformers gets no prompt
        return {"refused": str(error) if type(error) is jinja2.exceptions.TemplateError else ""}


if __name__ == "__main__":
    folder = os.path.join(HERE, "templates")
    made = environment()
    templates, cases = {}, []
    for file in sorted(os.listdir(folder)):
        with open(os.path.join(folder, file), encoding="utf-8", newline="") as source:
            name, written = file.removesuffix(".jinja"), source.read()
        templates[name] = written
        template = made.from_string(written)
        for talk_name, messages in CONVERSATIONS.items():
            if name == "python" and talk_name not in PYTHON_TALKS:
                continue
            for prompts in (True, False) if talk_name in BOTH_WAYS else (True,):
                case = {"template": name, "conversation": talk_name, "prompts": prompts}
                cases.append({**case, **rendered(template, messages, {"add_generation_prompt": prompts})})
            for more in VARIABLES:
                if talk_name in VARIED and all(variable in written for variable in more):
                    case = {"template": name, "conversation": talk_name, "prompts": True, "variables": more}
                    cases.append({**case, **rendered(template, messages, {"add_generation_prompt": True, **more})})
    with open(OUT, "w", encoding="utf-8", newline="\n") as out:
        out.write('{"now":%s,\n"tokens":%s,\n' % (json.dumps(NOW.isoformat()), json.dumps(TOKENS)))
        out.write('"manners":%s,\n' % json.dumps(MANNERS))
        out.write('"templates":%s,\n"conversations":%s,\n"cases":[\n' % (json.dumps(templates), json.dumps(CONVERSATIONS)))
        out.write(",\n".join(json.dumps(case) for case in cases) + "\n]}\n")
