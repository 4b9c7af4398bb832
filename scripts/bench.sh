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
for _ in $(seq 100); do
    url=$(sed -n 's/^ *Estatebase *\(http.*\)$/\1/p' "$folder/said")
    [ -n "$url" ] && break
    kill -0 $server || exit 1
    sleep 0.2
done
field() { sed -n "s/.*\"$1\": *\"\{0,1\}\([^\",]*\).*/\1/p" "$folder/postgres.json"; }
database="postgres://postgres:$(field superuser_password)@127.0.0.1:$(field port)/estatebase"
DATABASE_OWNER_URL=$database "$program" bench --url "$url" --server-pid $server "$@"
