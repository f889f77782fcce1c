# Needs python3 (3.11 or newer) and make; everything else is installed into .venv from requirements.lock, what only
# tests need from requirements-test.lock.
PYTHON ?= python3
CORES ?= $(shell $(PYTHON) -c "import os; print(len(os.sched_getaffinity(0)))")
CONFIG ?= config/demo.yml
PORT ?= 8000
BIN := .venv/bin
DIGEST := import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], 'rb').read()).hexdigest()[:16])
STAMP := .venv/.lock-$(shell $(PYTHON) -c "$(DIGEST)" requirements.lock)
TEST_STAMP := .venv/.lock-test-$(shell $(PYTHON) -c "$(DIGEST)" requirements-test.lock)
# The caches of tools stay in the project; nothing is fetched from a model hub; threads are the workflow's to give out. Paths reach
# the shell as variables, never as text of a command.
export XDG_CACHE_HOME := $(CURDIR)/.snakemake/cache
export MPLCONFIGDIR := $(CURDIR)/.snakemake/cache/matplotlib
export CONFIG
export HF_HUB_OFFLINE ?= 1
export OMP_NUM_THREADS ?= 1
export PYDEVD_DISABLE_FILE_VALIDATION := 1

.DEFAULT_GOAL := help
.PHONY: book codecheck pdf measured test test-heavy serve notebooks lock clean help

# An environment whose interpreter or any locked package is gone is made again, whatever its stamp says.
$(shell [ ! -f $(STAMP) ] || $(BIN)/python workflow/installed.py requirements.lock modality-gap-book || rm -f $(STAMP))

book: $(STAMP)  ## build the book into _build/html (CONFIG=config/paper.yml for the full paper)
	@mkdir -p "$$MPLCONFIGDIR" book/executed runs/logs
	@$(BIN)/python -m snakemake --cores $(CORES) --configfile "$$CONFIG" --nolock --rerun-incomplete --show-failed-logs -- book 2>runs/logs/book.log || { \
		cat runs/logs/book.log >&2; echo "[failed]   make book; what failed stands above, the whole log is runs/logs/book.log" >&2; exit 1; }
	@sed -n '/^\[excluded\]/p; /^\[skipped\]/p; /^\[damaged\]/p' runs/logs/book.log
	@echo "[book]     _build/html/index.html"

measured: $(STAMP)  ## run the studies that make data/measured again (many minutes; MEASURED_ROOT=FOLDER for those that need raw data)
	@mkdir -p "$$MPLCONFIGDIR" runs/logs
	@$(BIN)/python -m snakemake --snakefile workflow/measured.smk --cores $(CORES) --nolock --rerun-incomplete --show-failed-logs

test: $(TEST_STAMP)  ## run the tests, but for the heavy ones
	@mkdir -p "$$MPLCONFIGDIR"
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m "not heavy"

test-heavy: $(TEST_STAMP)  ## run the heavy tests: the built book in a browser, attacks, FUZZ_CASES faults of each kind (200)
	@mkdir -p "$$MPLCONFIGDIR"
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m heavy

codecheck: $(TEST_STAMP)  ## recompute the outputs that codecheck.yml lists and compare them with what is stored
	@mkdir -p "$$MPLCONFIGDIR"
	@$(BIN)/python -m pytest -n 0 -vv --no-header --tb=line tests/pages/test_pages.py -k test_its_result_tables

pdf: book  ## print the built book as one PDF into _build/html/downloads (needs chromium)
	@$(BIN)/python workflow/pdf.py

serve: book  ## build the book and serve it on http://localhost:8000
	@echo "http://localhost:$(PORT)"
	@$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

notebooks: $(STAMP)  ## write the .ipynb files from their .py sources
	@$(BIN)/jupytext --quiet --update --to ipynb --update-metadata '{"jupytext": null}' notebooks/*.py

PINS := --universal --generate-hashes --no-emit-index-url --no-emit-find-links --python-version 3.11

lock:  ## pin every package anew (needs uv)
	uv pip compile $(PINS) --extra book pyproject.toml -o requirements.lock
	uv pip compile $(PINS) --group pyproject.toml:test --constraints requirements.lock -o requirements-test.lock

clean:  ## remove what was built; the environment and your own embeddings and sweeps stay
	rm -rf _build book/executed book/generated runs/book runs/logs runs/benchmarks runs/checks runs/cones runs/*.json .snakemake .pytest_cache .ruff_cache .hypothesis

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The environment is made anew when the lock has changed, and kept otherwise.
$(STAMP): requirements.lock pyproject.toml
	@if [ -f $@ ]; then touch $@; else \
		$(PYTHON) workflow/environment.py requirements.lock --new && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . && touch $@; fi

$(TEST_STAMP): $(STAMP) requirements-test.lock
	@if [ -f $@ ]; then touch $@; else $(BIN)/python workflow/environment.py requirements-test.lock && touch $@; fi
