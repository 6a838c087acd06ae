#!/usr/bin/env bash
# All that must hold besides the tests: style, types, layers, migrations, known vulnerabilities, secrets, packaging.
# usage: tests/quality.sh DIRECTORY_OF_THE_ENVIRONMENT'S_PROGRAMS
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$1
step() { echo "== $*"; }

step ruff
"$bin/ruff" format --check --quiet .
"$bin/ruff" check --quiet .
step mypy
"$bin/mypy"
step import-linter
"$bin/lint-imports" >/tmp/layers.$$ || { cat /tmp/layers.$$; exit 1; }
rm /tmp/layers.$$
step migrations
DATABASE_URL=sqlite://:memory: "$bin/python" manage.py makemigrations --check --dry-run
DATABASE_URL=sqlite://:memory: "$bin/python" manage.py check --fail-level WARNING
step pip-audit
# Asks PyPI what is known of each package; says which ones it could not ask about. Where the index has no such data, it
# passes and proves nothing.
"$bin/pip-audit" --progress-spinner off --local --skip-editable
step detect-secrets
# The ones that are left out open nothing but the demo, the tests and what the documentation makes up.
"$bin/detect-secrets" scan --exclude-files '^sample_lms/courses/|\.svg$' \
    --exclude-secrets '^(secret|staff|learner|ada|guest|correct horse|only-for-.+)$' >/tmp/secrets.$$
grep -q '"results": {}' /tmp/secrets.$$ || { cat /tmp/secrets.$$; exit 1; }
rm /tmp/secrets.$$
step packaging
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# From a copy of what git knows, so that nothing left lying about gets in.
git ls-files -z | xargs -0 cp --parents -t "$work" --
(cd "$work" && "$OLDPWD/$bin/python" -m build --quiet --outdir dist . 2>/dev/null) || (cd "$work" && "$bin/python" -m build --outdir dist .)
"$bin/twine" check --strict "$work"/dist/*
files=$("$bin/python" -m zipfile -l "$work"/dist/*.whl)
grep -E "sample_lms|tests/" <<<"$files" && { echo "the wheel holds what it should not"; exit 1; }
for file in progress_bar.html dashboard/course.html style.css de/LC_MESSAGES/django.mo; do
    grep -q "$file" <<<"$files" || { echo "the wheel lacks $file"; exit 1; }
done
"$bin/python" -m venv "$work/empty"
"$work/empty/bin/python" -m pip --disable-pip-version-check install --quiet "$work"/dist/*.whl
(cd "$work/empty" && bin/python - <<'PYTHON'
import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "eventtracking.django.apps.EventTrackingConfig",
        "waffle",
        "completion",
        "completion_aggregator",
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    EVENT_TRACKING_BACKENDS={},
    SECRET_KEY="x",
)
django.setup()
import completion_aggregator.api.v1.urls
import completion_aggregator.selectors
import completion_aggregator.services
import completion_aggregator.tasks
from django.core.management import call_command

call_command("migrate", verbosity=0)
print("the wheel installs, imports and migrates:", completion_aggregator.__version__)
PYTHON
)
