#!/usr/bin/env python3
"""Write test/text/fixtures/chat-templates.json: every template here with every conversation, rendered as the transformers library does.

Usage: render.py. Needs Debian's python3-jinja2 (3.1). The environment is set up as in transformers' `chat_template_utils`.
"""
import datetime
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
    """`{% generation %}` marks what the assistant says; it leaves the text as it is."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_text"), [], [], body).set_lineno(line)

    def _text(self, caller):
        return caller()


def environment():
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = raise_exception
    made.globals["strftime_now"] = NOW.strftime
    return made


def talk(*contents, roles="user assistant"):
    names = roles.split()
    return [{"role": names[at % len(names)], "content": content} for at, content in enumerate(contents)]


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
}

# Of the file with every operator a few are enough; a prompt that ends without asking for an answer differs in its end only.
PYTHON_TALKS = ("one", "unicode", "whitespace", "system late")
BOTH_WAYS = ("one", "assistant last", "thinking")


def rendered(template, messages, **variables):
    try:
        return {"text": template.render(messages=messages, tools=None, documents=None, **variables, **TOKENS)}
    except Exception as error:  # whatever it is, the caller of transformers sees no prompt
        return {"refused": str(error) if type(error) is jinja2.exceptions.TemplateError else ""}


if __name__ == "__main__":
    folder = os.path.join(HERE, "templates")
    made = environment()
    templates, cases = {}, []
    for file in sorted(os.listdir(folder)):
        with open(os.path.join(folder, file), encoding="utf-8", newline="") as source:
            name, text = file.removesuffix(".jinja"), source.read()
        templates[name] = text
        template = made.from_string(text)
        for talk_name, messages in CONVERSATIONS.items():
            if name == "python" and talk_name not in PYTHON_TALKS:
                continue
            for prompts in (True, False) if talk_name in BOTH_WAYS else (True,):
                case = {"template": name, "conversation": talk_name, "prompts": prompts}
                cases.append({**case, **rendered(template, messages, add_generation_prompt=prompts)})
    with open(OUT, "w", encoding="utf-8", newline="\n") as out:
        out.write('{"now":%s,\n"tokens":%s,\n' % (json.dumps(NOW.isoformat()), json.dumps(TOKENS)))
        out.write('"templates":%s,\n"conversations":%s,\n"cases":[\n' % (json.dumps(templates), json.dumps(CONVERSATIONS)))
        out.write(",\n".join(json.dumps(case) for case in cases) + "\n]}\n")
