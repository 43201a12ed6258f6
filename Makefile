# make run, make test, make check, make bench: each creates the environment in .venv first if it is missing.
# Another Python: make PYTHON=python3.12 run. Arguments for the program: make run ARGS='--host 0.0.0.0'.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test check bench clean

run: .venv/installed
	$(BIN)/python chat_server.py $(ARGS)

test: .venv/installed-dev
	$(BIN)/python -m pytest $(ARGS)

check: .venv/installed-dev
	PYTHON=$(BIN)/python scripts/check

bench: .venv/installed-bench
	$(BIN)/python -m benchmarks --short $(ARGS)

clean:
	rm -rf .venv build *.egg-info

.venv/installed: extras :=
.venv/installed-dev: extras := [dev]
.venv/installed-bench: extras := [dev,bench]
.venv/installed .venv/installed-dev .venv/installed-bench: pyproject.toml | $(BIN)/pip
	$(BIN)/pip install -q -e '.$(extras)'
	touch $@

$(BIN)/pip:
	@$(PYTHON) -m venv .venv || { \
		echo 'No environment: on Debian and Ubuntu, install python3-venv (sudo apt install python3-venv), then run make again'; \
		exit 1; }
