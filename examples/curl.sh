#!/bin/sh
# A job with curl: its stream, the same events a second time, the rest after an event, cancel, health.
#   sh examples/curl.sh http://127.0.0.1:8080
set -eu
url=${1:-http://127.0.0.1:8080}
job=curl-$$
json='Content-Type: application/json'

echo '# A job. -N shows each event when it arrives.'
curl -sSN "$url/execute" -H "$json" -d "{\"job_id\": \"$job\", \"prompt\": \"Write a haiku about the sea\", \"seed\": 42}"

echo '# All events again, for --replay-ttl after the end. Their ids are for Last-Event-ID: the rest of a broken stream.'
events=$(curl -sSN "$url/jobs/$job/events")
echo "$events" | sed -n 1,4p
last=$(echo "$events" | sed -n 's/^id: //p' | tail -n 2 | head -n 1)
curl -sSN "$url/jobs/$job/events" -H "Last-Event-ID: $last"

echo '# Cancel: the stream of a running job ends with CANCELLED within 100 ms.'
curl -sS "$url/cancel" -H "$json" -d "{\"job_id\": \"$job\"}"

echo && echo '# The worker.'
curl -sS "$url/health" && echo
