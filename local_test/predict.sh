#!/usr/bin/env bash
# Send the texts in a file to the server on this machine.
case ${BASH_VERSION:-0} in 0 | [1-3].* | 4.[0-3].*) echo "error: bash 4.4 or later is needed: brew install bash" >&2 && exit 1 ;; esac
set -euo pipefail

usage="usage: local_test/predict.sh PAYLOAD [CONTENT_TYPE]

PAYLOAD is a file; CONTENT_TYPE defaults to that of its ending: .json, .jsonl, .csv or .txt.
SAGEMAKER_BIND_TO_PORT sets another port than 8080."

if [[ ${1:-} == -h || ${1:-} == --help || $# -lt 1 || $# -gt 2 ]]; then
    echo "$usage"
    [[ ${1:-} == -h || ${1:-} == --help ]]
    exit
fi
payload=$1
[[ -r $payload ]] || {
    echo "error: cannot read $payload" >&2
    exit 1
}
case ${2:-$payload} in
    *.json) content_type=application/json ;;
    *.jsonl) content_type=application/jsonlines ;;
    *.csv) content_type=text/csv ;;
    *.txt) content_type=text/plain ;;
    *) content_type=${2:-text/plain} ;;
esac

# In Python, because a bare machine may lack curl.
python=$(dirname "${BASH_SOURCE[0]}")/../.venv/bin/python
[[ -x $python ]] || python=python3
exec "$python" - "$payload" "$content_type" "${SAGEMAKER_BIND_TO_PORT:-8080}" <<'PYTHON'
import http.client
import pathlib
import sys

payload, content_type, port = sys.argv[1:]
try:
    server = http.client.HTTPConnection("127.0.0.1", int(port), timeout=60)
    server.request("POST", "/invocations", pathlib.Path(payload).read_bytes(), {"Content-Type": content_type})
    response = server.getresponse()
    print(response.read().decode())
except OSError as error:
    sys.exit(f"error: no answer from port {port} ({error}); is local_test/serve_local.sh running?")
if response.status != 200:
    sys.exit(f"error: the server answered {response.status}")
PYTHON
