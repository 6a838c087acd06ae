#!/usr/bin/env bash
# The demo, as a new user starts it: `make demo` in a copy of its own, then questions by curl.
set -euo pipefail
cd "$(dirname "$0")/.."
port=${PORT:-8123}
rm -f demo.sqlite3*
make --no-print-directory demo PORT="$port" >demo.log 2>&1 &
demo=$!
trap 'pkill -P $demo 2>/dev/null || true; kill $demo 2>/dev/null || true; rm -f demo.log' EXIT

site="http://127.0.0.1:$port"
api="$site/api/completion/v1"
course="course-v1:Sample+SKY101+2026"
for _ in $(seq 240); do
    curl --silent --fail --user staff:staff --output /dev/null "$api/stats/$course/" && break
    kill -0 $demo 2>/dev/null || { cat demo.log; exit 1; }
    sleep 1
done

ask() { # account, path, expected status, expected text
    local answer
    answer=$(curl --silent --user "$1" --write-out '\n%{http_code}' "$api/$2")
    if [[ ${answer##*$'\n'} != "$3" || $answer != *"$4"* ]]; then
        echo "FAILED: $1 $2: expected $3 with $4, got: $answer"
        exit 1
    fi
    echo "ok: $3 $1 $2"
}
[[ $(curl --silent --fail "$site/") == *"Log in as learner"* ]] || { echo "FAILED: the start page"; exit 1; }
echo "ok: the start page"
ask staff:staff "course/$course/?page_size=2&requested_fields=chapter,mean" 200 '"count":300'
ask staff:staff "course/$course/?username=learner" 200 '"earned":'
ask staff:staff "stats/$course/?exclude_roles=staff&requested_fields=mean" 200 '"mean_completion":'
ask learner:learner "course/?username=me" 200 '"count":2'
ask learner:learner "course/$course/?username=me&requested_fields=chapter" 200 '"chapter":'
ask learner:learner "course/$course/" 403 '"detail":'
ask learner:learner "course/$course/?username=staff" 403 '"detail":'
ask learner:wrong "course/" 401 '"detail":'
ask staff:staff "course/nonsense/" 404 '"detail":'
