"""A chat with the openai package. python3 examples/python_openai.py "Write a haiku" http://127.0.0.1:8080"""

import sys

from openai import OpenAI

prompt, url = (sys.argv[1:] + ["Write a haiku about the sea", "http://127.0.0.1:8080"][len(sys.argv) - 1 :])[:2]
client = OpenAI(base_url=f"{url}/v1", api_key="not used without --api-token")
stream = client.chat.completions.create(
    model="any",
    messages=[{"role": "user", "content": prompt}],
    stream=True,
    # Sentences about the job, in a field of the chunks that other clients ignore.
    extra_body={"narration": True},
)
for chunk in stream:
    for choice in chunk.choices:
        print(choice.delta.content or "", end="", flush=True)
    for sentence in [getattr(chunk, "narration", None)]:
        if sentence:
            print(sentence["human"], file=sys.stderr)
print()
