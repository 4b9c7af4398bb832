#!/usr/bin/env bash
# `make demo`: against the server that runs, or one that is started for it and stays until Ctrl-C.
# Arguments go to `estatebase demo` (see its --help).
set -euo pipefail
program=${1:?the release binary}
shift
port=${PORT:-8080}
url=http://127.0.0.1:$port
if ! curl -fsS "$url/healthz" >/dev/null 2>&1; then
    "$program" serve --demo --rate-limit off --log warn &
    server=$!
    trap 'kill -INT $server 2>/dev/null; wait $server 2>/dev/null' EXIT
    for _ in $(seq 150); do
        curl -fsS "$url/healthz" >/dev/null 2>&1 && break
        kill -0 $server || exit 1
        sleep 0.2
    done
fi
"$program" demo --url "$url" "$@"
if [ -n "${server:-}" ] && [ -t 0 ]; then
    echo "The server stays for a look; Ctrl-C stops it."
    wait $server
fi
