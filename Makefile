# Everything happens in .venv; nothing needs root. `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
FUZZ_SECONDS ?= 60
SOAK_SECONDS ?= 600

.DEFAULT_GOAL := help
.PHONY: help install run run-flask test test-deploy lint types unit compiled bench bench-quick fuzz model soak site docs lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "adapter needs Python 3.11 or newer; $$($(PYTHON) --version) was found. Name one: make PYTHON=python3.12 …"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "$(PYTHON) has no venv module; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

install: $(INSTALLED) ## Make .venv with everything in it

run: $(INSTALLED) ## Lambda on this machine, with the FastAPI example in it
	@$(BIN)/adapter dev --app-dir examples/fastapi_app -- $(CURDIR)/$(BIN)/python -m uvicorn main:app --port '{port}' --log-level warning || [ $$? = 130 ]

run-flask: $(INSTALLED) ## The same with the Flask example
	@$(BIN)/adapter dev --app-dir examples/flask_app -- $(CURDIR)/$(BIN)/python -m gunicorn main:app --bind '127.0.0.1:{port}' --threads 8 --log-level warning || [ $$? = 130 ]

test: lint types unit ## Lint, types and all tests

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

# The core, whose branches are all covered, in one process; the rest, most of it waiting for processes, in two.
# Those that need compilers for other languages are a group of their own.
TOOLCHAIN_TESTS := tests/toolchains
CORE_TESTS := tests/payload tests/aws/test_limits.py tests/net/test_http1.py tests/net/test_token_bucket.py

unit: $(INSTALLED)
	$(BIN)/coverage run -m pytest $(CORE_TESTS)
	$(BIN)/coverage report
	$(BIN)/pytest --numprocesses 2 --dist loadfile $(addprefix --ignore=,$(CORE_TESTS) $(TOOLCHAIN_TESTS))

test-deploy: $(INSTALLED) ## Test templates, examples, balancers and AWS's runtimes (needs go, cargo, npm, nginx, haproxy; takes minutes)
	$(BIN)/pytest $(TOOLCHAIN_TESTS)

# An environment that has the compiled adapter, and everything else from .venv.
COMPILED := .cache/compiled
PACKAGES := import sysconfig; print(sysconfig.get_path("purelib"))
# From Python 3.12 on, of mypyc's own code wherever an exception passes an await; nobody sees it but who asks for it.
OF_MYPYC := ignore:the (type, exc, tb) signature of throw:DeprecationWarning
COMPILED_TESTS := $(CORE_TESTS) tests/net/test_paced_writer.py tests/net/server tests/runtime tests/proxy tests/hardening

compiled: $(INSTALLED) ## Compile what deploy/build-wheel compiles, and test it (needs a C compiler and Python's headers)
	rm -rf $(COMPILED) && $(PYTHON) -m venv $(COMPILED)
	COMPILE=yes PYTHON=$(COMPILED)/bin/python deploy/build-wheel $(COMPILED)/wheel
	$(COMPILED)/bin/pip install --quiet --disable-pip-version-check --no-deps $(COMPILED)/wheel/*.whl
	packages=$$($(COMPILED)/bin/python -c '$(PACKAGES)'); $(BIN)/python -c '$(PACKAGES)' > $$packages/tests.pth; \
		$(COMPILED)/bin/python -I -c 'import adapter.net.http1 as it; assert it.__file__.endswith(".so"), it.__file__' && \
		$(COMPILED)/bin/python -m pytest --override-ini "pythonpath=$$packages ." -W '$(OF_MYPYC)' --numprocesses 2 --dist loadfile $(COMPILED_TESTS)

bench: $(INSTALLED) ## Compare the adapter with its peers and write docs/performance.md (needs gcc; about 15 minutes)
	$(BIN)/python bench/run.py

bench-quick: $(INSTALLED) ## Warn where the adapter has become slower than bench/baseline.json says (under 2 minutes)
	$(BIN)/python bench/run.py --quick

fuzz: $(INSTALLED) ## Fuzz each parser for FUZZ_SECONDS (60); what is found stays in .cache/fuzz
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[fuzz]'
	for target in events responses connections; do $(BIN)/python -m fuzz.run $$target $(FUZZ_SECONDS) || exit 1; done

model: $(INSTALLED) ## Explore more states of adapter dev's scheduler than the tests do (about 10 minutes)
	MODEL_DEPTH=6 MODEL_WALKS=1000 $(BIN)/pytest -q -s --timeout 600 tests/emulator/function/test_scheduler_model.py

soak: $(INSTALLED) ## SOAK_SECONDS (600) of mixed traffic for proxy and dev each, with an app that is killed at random
	$(BIN)/python bench/soak.py --seconds $(SOAK_SECONDS)

site: $(INSTALLED) ## Write the documentation as a site into .cache/site
	$(BIN)/python -m mkdocs build --strict --quiet

docs: $(INSTALLED) ## Write the generated parts of README.md and docs/
	$(BIN)/python docs/generate.py

lock: ## Renew constraints.txt from what pyproject.toml allows
	rm -rf $(VENV)/lock && $(PYTHON) -m venv $(VENV)/lock
	$(VENV)/lock/bin/pip install --quiet --disable-pip-version-check '.[dev]'
	$(VENV)/lock/bin/pip freeze --exclude web-adapter --exclude pip --exclude setuptools > constraints.txt

clean: ## Remove what make and the tools made
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .coverage .hypothesis
