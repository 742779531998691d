#!/usr/bin/env bash
# The tests of the parts with raw memory (entries, tables) under valgrind, at sizes that suit it: no read or write
# outside an allocation or after its end, no decision on bytes never written, nothing definitely leaked.
# Usage: valgrind.sh [TEST...]      Takes a minute or two; the time of one test program is bounded.
set -euo pipefail
cd "$(dirname "$0")/.."

LIMIT=300s
tests=("$@")
if [ ${#tests[@]} -eq 0 ]; then tests=(db_fields entry_model entry_splices hash_model table_model table_keepers table_scan table_views zset_model); fi

runner="timeout $LIMIT valgrind --quiet --error-exitcode=1 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite"
OSTRAKA_TEST_SCALE=20 cargo test --package ostraka-datatypes "${tests[@]/#/--test=}" \
  --config "target.'cfg(unix)'.runner = '$runner'" -- --test-threads 1
