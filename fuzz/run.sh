#!/usr/bin/env bash
# fuzz/run.sh SECONDS [TARGET…]: runs each target for this time, or until it finds a fault, and prints how often it ran.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

seconds=$1
shift
[ $# -gt 0 ] || set -- cdr_query cdr_form cdr_json requests client_address phone envelope first_message pad_claims

# libFuzzer's instrumentation is an option of nightly compilers. This lets the stable one, which is the only one this
# project needs, take it too; nothing that is shipped is built so.
export RUSTC_BOOTSTRAP=1

for target in "$@"; do
    mkdir -p "corpus/$target"
    echo "== $target, $seconds s"
    # -max_len: no parser does anything new beyond. -timeout: seconds for one input.
    ${CARGO:-cargo} fuzz run --fuzz-dir . "$target" "corpus/$target" "seeds/$target" -- \
        -max_total_time="$seconds" -max_len=2048 -timeout=10 -print_final_stats=1 -print_funcs=0 -verbosity=0
done
