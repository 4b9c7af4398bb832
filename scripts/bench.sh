#!/usr/bin/env bash
# `make bench`: a server of its own, with a Postgres of its own that is as durable as in production,
# and the figures measured against it. Arguments go to `estatebase bench` (see its --help).
set -euo pipefail
program=${1:?the release binary}
shift
folder=$(mktemp -d)
"$program" serve --data-dir "$folder" --port 0 --rate-limit off --log warn >"$folder/said" &
server=$!
trap 'kill -INT $server 2>/dev/null; wait $server 2>/dev/null; rm -rf "$folder"' EXIT
for _ in $(seq 600); do
    url=$(sed -n 's/^ *Estatebase *\(http.*\)$/\1/p' "$folder/said")
    [ -n "$url" ] && break
    kill -0 $server || exit 1
    sleep 0.2
done
[ -n "$url" ] || { echo "the server did not start within two minutes" >&2; exit 1; }
field() { sed -n "s/.*\"$1\": *\"\{0,1\}\([^\",]*\).*/\1/p" "$folder/postgres.json"; }
database="postgres://postgres:$(field superuser_password)@127.0.0.1:$(field port)/estatebase"
served="postgres://estatebase_web:$(field app_password)@127.0.0.1:$(field port)/estatebase"
DATABASE_URL=$served DATABASE_OWNER_URL=$database "$program" bench --url "$url" --server-pid $server "$@" || missed=1
kill -INT $server && wait $server || true
began=$(date +%s%N)
"$program" serve --data-dir "$folder" --port "${url##*:}" --rate-limit off --log warn >"$folder/said" &
server=$!
until curl -fsS "$url/readyz" >/dev/null 2>&1; do
    kill -0 $server || exit 1
    sleep 0.01
done
took=$((($(date +%s%N) - began) / 1000000))
[ $took -le 2000 ] && verdict=PASS || verdict=MISS
echo "$verdict  start after a clean stop to the first answered request: $((took / 1000)).$(printf %03d $((took % 1000))) s (must be ≤ 2 s)"
exit "${missed:-0}"
