#!/usr/bin/env bash
# The Tutor plugin: its package is built, then installed beside the real Tutor, of each release that it is for, and tested.
# usage: tests/tutor.sh DIRECTORY_OF_THE_ENVIRONMENT'S_PROGRAMS
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$(cd "$1" && pwd)
plugin=tutor-contrib-completion-aggregator
export PIP_DISABLE_PIP_VERSION_CHECK=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# From a copy of what git knows, so that nothing left lying about gets in.
git ls-files -z -- "$plugin" | xargs -0 cp --parents -t "$work" --
cd "$work/$plugin"
"$bin/python" -m build --outdir "$work/dist" . >"$work/build.log" 2>&1 || { cat "$work/build.log"; exit 1; }
"$bin/twine" check --strict "$work"/dist/*

for major in 21 22; do
    echo "== Tutor $major"
    "$bin/python" -m venv "$work/$major"
    "$work/$major/bin/python" -m pip install --quiet "tutor==$major.*" "$work"/dist/*.whl pytest
    # What is tested is what was installed, not the folder.
    (cd tests && "$work/$major/bin/python" -m pytest --quiet .)
done
