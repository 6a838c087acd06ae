# Every command that a developer needs. VENV=… uses another environment, PYTHON=… another Python to make it.
PYTHON ?= python3
VENV ?= .venv
PORT ?= 8000
BIN = $(VENV)/bin
# At least 95 % of lines and branches. Faster than coverage.py, which lets the suite take almost twice as long.
COVERED = --branch --source completion_aggregator,sample_lms --omit '*/migrations/*' --skip-covered --fail-under 95
PIP = $(BIN)/python -m pip --disable-pip-version-check install --quiet

.PHONY: help demo demo-reset schema test test-browser screenshots test-openapi test-services test-mariadb test-postgresql test-tutor model fuzz soak quality docs messages bench upgrade clean

help:
	@echo "make demo [PORT=8123]  a small LMS with two courses and 300 learners, on 127.0.0.1"
	@echo "make demo-reset        throw the demo's data away"
	@echo "make schema            docs/reference/openapi.yaml, from the code"
	@echo "make test              the whole suite that needs no server"
	@echo "make test-browser      the pages in Chromium (CHROMIUM=… names another)"
	@echo "make screenshots       the pictures of the documentation, from there"
	@echo "make test-openapi      the demo against docs/reference/openapi.yaml, by clients made from it"
	@echo "                       (MINUTES=60: with random questions for as long)"
	@echo "make fuzz [MINUTES=60] bytes of all kinds for whatever reads what others send (default: a minute)"
	@echo "make test-services     the same on MariaDB and PostgreSQL, with workers over Redis and RabbitMQ"
	@echo "make model [OPERATIONS=1000000] [DATABASE_URL=…]  random operations against a naive model"
	@echo "make test-tutor        the Tutor plugin, in each release of Tutor that it is for"
	@echo "make soak [MINUTES=120]  load and faults on a site with servers of its own"
	@echo "make quality           lint, types, layers, audit, migrations, packaging"
	@echo "make docs              the documentation, as HTML"
	@echo "make messages          the texts of the package into the catalogs of its translations"
	@echo "make bench             the benchmarks"
	@echo "make upgrade           newer versions into requirements/dev.txt"

# One stamp per requirements file: installing again takes no time while nothing has changed.
$(VENV)/%.stamp: requirements/%.in requirements/base.in requirements/demo.in requirements/test.in requirements/dev.txt setup.py
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -r requirements/$*.in -c requirements/dev.txt
	$(PIP) --no-deps --editable . # Open edX finds the package by its entry points
	touch $@

demo: $(VENV)/demo.stamp
	$(BIN)/python manage.py demo --port $(PORT)

demo-reset:
	rm -f demo.sqlite3 demo.sqlite3-shm demo.sqlite3-wal

test: $(VENV)/test.stamp
	$(BIN)/python -m slipcover $(COVERED) -m pytest

test-browser: $(VENV)/browser.stamp
	$(BIN)/python -m pytest tests/browser

screenshots: $(VENV)/browser.stamp
	$(BIN)/python -m pytest tests/browser/test_screenshots.py --screenshots docs/images

schema: $(VENV)/demo.stamp
	$(BIN)/python manage.py spectacular --fail-on-warn --validate --file docs/reference/openapi.yaml

test-openapi: $(VENV)/openapi.stamp
	$(BIN)/python -m pytest tests/openapi $(if $(MINUTES),--minutes $(MINUTES))

fuzz: $(VENV)/fuzz.stamp
	$(BIN)/python -m tests.fuzz $(or $(MINUTES),1)

test-services: test-mariadb test-postgresql

test-mariadb test-postgresql: $(VENV)/services.stamp
	./tests/services.sh $(BIN)/python $(@:test-%=%)

model: $(VENV)/test.stamp
	$(BIN)/python -m tests.model --operations $(or $(OPERATIONS),10000) --seed $(or $(SEED),0)

test-tutor: $(VENV)/quality.stamp
	./tests/tutor.sh $(BIN)

soak: $(VENV)/soak.stamp
	$(BIN)/python -m tests.soak $(if $(MINUTES),--minutes $(MINUTES))

quality: $(VENV)/quality.stamp
	./tests/quality.sh $(BIN)

docs: $(VENV)/docs.stamp
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html

messages: $(VENV)/test.stamp
	$(BIN)/python -m tests.messages

bench: $(VENV)/bench.stamp
	$(BIN)/python -m benchmarks

upgrade:
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) pip-tools
	$(BIN)/pip-compile --quiet --upgrade --strip-extras --no-emit-index-url --no-emit-trusted-host \
		--no-emit-find-links --no-emit-options --no-header --annotation-style line \
		requirements/dev.in --output-file requirements/dev.txt

clean:
	rm -rf build dist *.egg-info docs/_build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
