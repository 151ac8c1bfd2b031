# Everything runs in .venv, which the first command makes. Needs Python 3.11 or newer.
PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11 python,\
	$(shell $(name) -c 'import sys; sys.version_info >= (3, 11) and print("$(name)")' 2>/dev/null)))
BIN := .venv/bin
STAMP := .venv/installed

SHELL := /bin/bash
.PHONY: test demo bench docs export check-export lint types notebooks unit clean

test: check-export lint types notebooks unit

$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $@

# the generated nbs/, src/netrun and README.md, anew from pts/
export: $(STAMP)
	$(BIN)/nbl clear --all >/dev/null
	$(BIN)/nbl export >/dev/null
	$(BIN)/nbl readme >/dev/null

# fails when what is there is not what pts/ makes
check-export: $(STAMP)
	@sum() { find nbs src README.md -type f -not -name '*.pyc' | LC_ALL=C sort | xargs sha256sum; }; \
	before=$$(sum); $(MAKE) --no-print-directory export; after=$$(sum); \
	test "$$before" = "$$after" || { \
		echo "nbs/, src/ or README.md is not what pts/ makes. They are made anew now: look at git diff, and commit."; \
		exit 1; }

lint: $(STAMP)
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check .

types: $(STAMP)
	$(BIN)/mypy

# every notebook, the examples too, each in a fresh kernel
notebooks: $(STAMP)
	log=$$(mktemp); trap "rm -f $$log" EXIT; run() { \
		$(BIN)/nbl test --fill-unchanged -t 120 2>&1 | grep -v -e IPKernelApp -e MissingIDField -e _validate | tee $$log; \
		return $${PIPESTATUS[0]}; }; \
	run || { grep -q "Kernel didn't respond" $$log && run; }  # two kernels may have been given one port

unit: $(STAMP)
	$(BIN)/python -m pytest --cov --cov-report=term-missing:skip-covered

demo: $(STAMP)
	@$(BIN)/python pts/examples/15_stdlib_census.pct.py

bench: $(STAMP)
	$(BIN)/python -m tests.benchmarks

# the site, in build/site: the README, every notebook as it runs, and the reference
docs: $(STAMP)
	$(BIN)/python -m pip install --quiet --group docs
	$(BIN)/python pts/docs/build.py
	@echo "to read it with its search: $(BIN)/python -m http.server --directory build/site"

clean:
	rm -rf build .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.*
