#!/usr/bin/env bash
# On MariaDB (or MySQL) and, side by side, on PostgreSQL: the suite; the races between processes and the Celery workers over
# Redis and over RabbitMQ; last, with openedx-completion-aggregator 4.5.0, which is installed into an environment of its own,
# the differential test and the swap. A server that cannot be reached is a failure.
# MARIADB_URL, POSTGRESQL_URL, REDIS_URL and RABBITMQ_URL name other servers than those on loopback.
# usage: tests/services.sh PYTHON
set -euo pipefail
cd "$(dirname "$0")/.."
python=$1
mariadb=${MARIADB_URL:-mysql://root@127.0.0.1:3306/completion_aggregator}
postgresql=${POSTGRESQL_URL:-postgres://postgres@127.0.0.1:5432/completion_aggregator}
said=$(mktemp)
trap 'rm -f "$said"' EXIT

tests() { # database, what is marked how, further arguments of pytest
    DATABASE_URL=$1 "$python" -m pytest --quiet -m "$2" "${@:3}"
}

suite() {
    echo "== ${1%%:*}"
    # Where nothing is stored, and how Open edX loads the plugin, is the same on every database.
    tests "$1" "not services and not anywhere" --ignore=tests/plugin --ignore=tests/unit
}

races() {
    echo "== ${1%%:*}: races and workers"
    tests "$1" services --ignore=tests/differential --ignore=tests/swap
}

compare() {
    echo "== side by side with 4.5.0"
    tests "$mariadb" services tests/differential
}

swap() {
    echo "== the swap with 4.5.0"
    "$python" -m pytest --quiet -m services tests/swap
}

# Each database keeps one core busy.
(suite "$postgresql" && races "$postgresql" && swap) >"$said" 2>&1 &
failed=0
(suite "$mariadb" && races "$mariadb" && compare) || failed=1
wait $! || failed=1
cat "$said"
((failed == 0))
