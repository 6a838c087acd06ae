#!/usr/bin/env bash
# The suite on MariaDB (or MySQL) and on PostgreSQL; then, on one after the other, the races between processes and
# the Celery workers over Redis and over RabbitMQ; beside the second, with openedx-completion-aggregator 4.5.0, which is
# installed into an environment of its own: the differential test, and the swap. A server that cannot be reached is a failure.
# MARIADB_URL, POSTGRESQL_URL, REDIS_URL and RABBITMQ_URL name other servers than those on loopback.
# usage: tests/services.sh PYTHON
set -euo pipefail
cd "$(dirname "$0")/.."
python=$1
urls=("${MARIADB_URL:-mysql://root@127.0.0.1:3306/completion_aggregator}"
      "${POSTGRESQL_URL:-postgres://postgres@127.0.0.1:5432/completion_aggregator}")
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

suite() {
    DATABASE_URL=$1 "$python" -m pytest --quiet -m "$2" "${@:3}"
}

for url in "${urls[@]}"; do
    # Where nothing is stored, and how Open edX loads the plugin, is the same on every database.
    suite "$url" "not services and not anywhere" --ignore=tests/plugin --ignore=tests/unit >"$logs/${url%%:*}" 2>&1 &
done
failed=0
for _ in "${urls[@]}"; do
    wait -n || failed=1
done
for url in "${urls[@]}"; do
    echo "== ${url%%:*}"
    cat "$logs/${url%%:*}"
done
((failed == 0))

races() { suite "$1" "services" --ignore=tests/differential --ignore=tests/swap; }

echo "== ${urls[0]%%:*}: races and workers"
races "${urls[0]}"
races "${urls[1]}" >"$logs/races" 2>&1 &
echo "== side by side with 4.5.0, on ${urls[0]%%:*}"
suite "${urls[0]}" "services" tests/differential || failed=1
echo "== the swap with 4.5.0"
"$python" -m pytest --quiet -m services tests/swap || failed=1
wait $! || failed=1
echo "== ${urls[1]%%:*}: races and workers"
cat "$logs/races"
((failed == 0))
