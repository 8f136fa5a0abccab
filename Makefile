# make run · make demo · make test: each sets up what it needs and is fast the second time.
# The locks name every package; with --no-deps pip adds none that [tool.uv] in pyproject.toml leaves out.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: install run demo test lint docs clean lock dev golden fuzz audit bench

install: $(VENV)/.installed
run: install
	@exec $(BIN)/dmarcworks serve
demo: install
	@exec $(BIN)/dmarcworks demo
dev: $(VENV)/.dev
# JOBS test files at a time (many only wait); TESTS= chooses, e.g. make test TESTS=tests/reports JOBS=0.
TESTS ?=
JOBS ?= 3
test: dev lint
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(TESTS)
docs: dev
	$(BIN)/python scripts/docs.py
# Known vulnerabilities of the locked runtime dependencies; SERVICE=osv asks another database. See docs/security.md.
SERVICE ?= pypi
audit: dev
	$(BIN)/python scripts/audit.py $(SERVICE)
# Renew tests/corpus; read the difference before it is committed.
golden: dev
	$(BIN)/python scripts/corpus.py
# make fuzz [SECONDS=600]: coverage-guided, seeded by tests/corpus; fails on a finding and keeps it in fuzz/findings.
SECONDS ?= 600
fuzz: dev
	nice $(BIN)/python fuzz/fuzz_reading.py -max_total_time=$(SECONDS)
# Every benchmark, one after the other, each side by side with its peer; BENCH_ARGS=--write renews the pages in docs/.
# The full runs take an hour; make bench BENCH=short runs each script briefly.
BENCH ?= full
BENCH_ARGS ?=
BENCH_full_reading := $(BENCH_ARGS)
BENCH_full_receiving := $(BENCH_ARGS)
BENCH_full_whole := $(BENCH_ARGS)
BENCH_full_asking := $(BENCH_ARGS)
BENCH_short_reading := --quick
BENCH_short_receiving := --seconds 1 --rounds 1
BENCH_short_whole := --mails 1000
BENCH_short_asking := --rows 1000000 --peer-rows 100000
BENCH_short_rebuild := --reports 500
bench: dev
	for script in reading receiving whole asking rebuild; do $(MAKE) --no-print-directory bench-$$script || exit; done
bench-%: dev
	$(BIN)/python bench/$*.py $(BENCH_$(BENCH)_$*)
lint: dev
	$(BIN)/ruff check src tests scripts fuzz bench hatch_build.py
	$(BIN)/ruff format --check src tests scripts fuzz bench hatch_build.py
	$(BIN)/mypy
	$(BIN)/python scripts/language.py
	$(BIN)/python scripts/senders.py

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "dmarcworks needs Python 3.11 or newer; set PYTHON=…" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.lock pyproject.toml package-lock.json scripts/assets.py scripts/ipdata.py | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/python scripts/assets.py
	$(BIN)/python scripts/ipdata.py
	@touch $@

$(VENV)/.dev: requirements-dev.lock package-lock.json scripts/assets.py $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-dev.lock
	$(BIN)/python scripts/assets.py --dev
	@touch $@

# Written for every platform and without the name of a package host.
lock:
	$(BIN)/uv pip compile --quiet --universal --no-emit-index-url --no-emit-find-links --generate-hashes --python-version 3.11 pyproject.toml --extra build -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --no-emit-index-url --no-emit-find-links --generate-hashes --python-version 3.11 pyproject.toml --extra build --extra dev -o requirements-dev.lock
	$(BIN)/uv pip compile --quiet --universal --no-emit-index-url --no-emit-find-links --generate-hashes --python-version 3.11 tests/clients/generator.in -o tests/clients/generator.lock

clean:
	rm -rf $(VENV) node_modules src/dmarcworks/dashboard/static/vendor .pytest_cache .mypy_cache .ruff_cache .hypothesis
