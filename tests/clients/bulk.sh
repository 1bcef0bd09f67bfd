#!/bin/sh
# Sends 8 × 10,000 records on one connection to an ingest-svc of its own, from a client in each of four languages, and prints
# what was answered. By hand: it wants Go, Java with Maven, Python with grpcio, and Node.
#
#   tests/clients/bulk.sh [INGEST-SVC [STREAMS [RECORDS]]]
set -u
cd "$(dirname "$0")" || exit 1
service=${1:-../../target/release/ingest-svc} streams=${2:-8} records=${3:-10000}
python=${PYTHON:-.venv/bin/python}
directory=$(mktemp -d)
port=$((20000 + $$ % 20000))
target=127.0.0.1:$port
# Nobody is to take the events: the broker is a port where nobody listens.
DATABASE_URL="sqlite://$directory/ringpad.db" AMQP_URL="amqp://guest:guest@127.0.0.1:1/%2f" RUST_LOG=warn \
  INGEST_HTTP_ADDR=127.0.0.1:$((port + 1)) INGEST_GRPC_ADDR=$target INGEST_ADMIN_ADDR=127.0.0.1:$((port + 2)) \
  "$service" 2>"$directory/log" &
pid=$!
trap 'kill $pid; wait $pid; rm -rf "$directory"' EXIT
until curl -fs "http://127.0.0.1:$((port + 2))/readyz" >/dev/null; do
  kill -0 $pid || { cat "$directory/log"; exit 1; }
  sleep 0.2
done
failed=0
go build -C go-bulk -o "$directory/go-bulk" . && "$directory/go-bulk" "$target" "$streams" "$records" || failed=1
mvn -q -f java-bulk/pom.xml compile exec:java -Dexec.args="$target $streams $records" || failed=1
"$python" bulk.py "$target" "$streams" "$records" || failed=1
node bulk.mjs "$target" "$streams" "$records" || failed=1
grep -v 'broker' "$directory/log" | tail -5
exit $failed
