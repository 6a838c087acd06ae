#!/usr/bin/env bash
# On MariaDB (or MySQL) or on PostgreSQL: the suite; the races between processes; the Celery workers, with the one over
# Redis, with the other over RabbitMQ, since a broker knows nothing of databases; last, with openedx-completion-aggregator
# 4.5.0, which is installed into an environment of its own, the differential test or the swap. A server that cannot be reached
# is a failure. MARIADB_URL, POSTGRESQL_URL, REDIS_URL and RABBITMQ_URL name other servers than those on loopback.
# usage: tests/services.sh PYTHON mariadb|postgresql
set -euo pipefail
cd "$(dirname "$0")/.."
python=$1
case $2 in
    mariadb) export DATABASE_URL=${MARIADB_URL:-mysql://root@127.0.0.1:3306/completion_aggregator} other=rabbitmq peer=differential ;;
    postgresql) export DATABASE_URL=${POSTGRESQL_URL:-postgres://postgres@127.0.0.1:5432/completion_aggregator} other=redis peer=swap ;;
esac
tests() { "$python" -m pytest --quiet -m "$@"; }

echo "== $2: the suite"
# Where nothing is stored, and how Open edX loads the plugin, is the same on every database.
tests "not services and not anywhere" --ignore=tests/plugin --ignore=tests/unit --create-db --reuse-db
echo "== $2: races and workers"
tests services --ignore=tests/differential --ignore=tests/swap -k "not $other" --reuse-db
echo "== side by side with 4.5.0: $peer"
[[ $peer != swap ]] || unset DATABASE_URL # it has databases of its own
tests services "tests/$peer"
