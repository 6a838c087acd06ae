#!/usr/bin/env bash
# The whole suite on MariaDB (or MySQL) and on PostgreSQL, the races between processes and the Celery workers included:
# these run over Redis and over RabbitMQ. A server that cannot be reached is a failure.
# MARIADB_URL, POSTGRESQL_URL, REDIS_URL and RABBITMQ_URL name other servers than those on loopback.
# usage: tests/services.sh PYTHON
set -euo pipefail
cd "$(dirname "$0")/.."
python=$1

for url in "${MARIADB_URL:-mysql://root@127.0.0.1:3306/completion_aggregator}" \
           "${POSTGRESQL_URL:-postgres://postgres@127.0.0.1:5432/completion_aggregator}"; do
    echo "== ${url%%:*}"
    DATABASE_URL=$url "$python" -m pytest --quiet -m "" "${@:2}"
done
