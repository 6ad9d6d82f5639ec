"""A job with httpx alone, with resume. python3 examples/python_httpx.py "Write a haiku" http://127.0.0.1:8080"""

import json
import sys
import time
import uuid

import httpx

prompt, url = (sys.argv[1:] + ["Write a haiku about the sea", "http://127.0.0.1:8080"][len(sys.argv) - 1 :])[:2]
# The worker sends a byte every 15 seconds.
client = httpx.Client(base_url=url, timeout=60)


def events(job):
    """The events of a job. A broken connection is made again after the last event; the job is sent once."""
    path, last = f"/jobs/{job['job_id']}/events", None
    stream = client.stream("POST", "/execute", json=job)
    for _ in range(10):
        try:
            with stream as response:
                if response.status_code == 204:
                    return
                if response.status_code != 200:
                    raise SystemExit(json.loads(response.read())["error"]["message"])
                for line in response.iter_lines():
                    name, _, value = line.rstrip("\n").partition(": ")
                    if name == "id":
                        event_id = value
                    if name == "data":
                        event, last = json.loads(value), event_id
                        yield event
                        if event["type"] in ("end", "error"):
                            return
        except httpx.TransportError:
            time.sleep(0.5)
        stream = client.stream("GET", path, headers={"Last-Event-ID": last} if last else {})
    raise SystemExit("The worker does not answer.")


# A job that can be resumed goes on without its reader.
job = {"job_id": f"python-{uuid.uuid4()}", "prompt": prompt, "on_disconnect": "continue"}
for event in events(job):
    if event["type"] == "token":
        print(event["t"], end="", flush=True)
    if event["type"] == "narration":
        print(event["human"], file=sys.stderr)
    if event["type"] == "error":
        sys.exit(f"{event['code']}: {event['message']}")
print()
