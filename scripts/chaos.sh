#!/usr/bin/env bash
# `make chaos`: every fault as often as it is promised, one after the other, and one table of what
# came of it. Parts alone: ONLY="kills redis". How often: the part's variable, such as KILLS=50.
set -uo pipefail
program=${1:?the built program}
logs=${CARGO_TARGET_DIR:-target}/chaos
mkdir -p "$logs"

# part | its count's variable | its count | target of cargo test | test
parts='
kills       KILLS            200   it                kills::
postgres    PG_KILLS         20    it                a_postgres_that_is_killed
cuts        CUTS             300   it                connections_that_are_cut
silence     SILENCE          30    it                a_silent_database
latency     LATENCY_MS       100   it                a_slow_database
half-open   DEATHS           5     it                connections_that_died_unnoticed
stranded    STRANDED         5     it                a_transaction_that_nobody_ends
redis       REDIS_FAULTS     10    it                without_redis_or_with_a_bad_one
halt        HALT             60    it                while_one_server_is_halted
halted      HALTS_UNDER_LOAD 20    it                a_server_that_is_halted_in_a_transaction
rolling     CLIENTS          1000  it                servers_that_are_replaced
owners      DEMOTIONS        10000 it                two_owners_who_demote_each_other
panics      PANICS           500   it                a_command_that_panics
pages       READS            50    it                a_page_shows_all
convergence PLANS            200   it                convergence::
pure        SEEDS            10000 convergence_pure  whatever_happens
'
export REPLACED=${REPLACED:-2} RUST_BACKTRACE=0
table=$logs/table
echo "fault | count | result | time" >"$table"
failed=0
while read -r part variable count target test; do
    if [ -z "$part" ] || { [ -n "${ONLY:-}" ] && [[ " $ONLY " != *" $part "* ]]; }; then
        continue
    fi
    count=${!variable:-$count}
    log=$logs/$part.log
    echo "$part: $variable=$count, log in $log" >&2
    env "$variable=$count" "$program" with-postgres -- \
        cargo test --locked --test "$target" "$test" -- --nocapture --test-threads 1 \
        >"$log" 2>&1 </dev/null
    ended=$?
    if reason=$(grep -oP '^test .* \.\.\. ignored, \K.*' "$log"); then
        echo "$part | 0 | KNOWN FAULT: $reason |" >>"$table"
    elif [ $ended -ne 0 ] || ! grep -oP 'CHAOS \| \K.*' "$log" >>"$table"; then
        echo "$part | $count | FAILED: $log |" >>"$table"
        failed=1
    fi
done <<<"$parts"
echo
column -t -s '|' -o '|' "$table"
exit $failed
