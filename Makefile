# Everything happens in .venv; nothing needs root. `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
FUZZ_SECONDS ?= 60
SOAK_SECONDS ?= 600
# Most tests wait for processes and timers, so more of them than cores run at a time.
WORKERS ?= 3

.DEFAULT_GOAL := help
.PHONY: help install run run-flask test test-deploy lint types unit compiled bench bench-quick fuzz model soak docs site dist lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

# say PURPOSE,COMMAND: run COMMAND, and print its purpose and its progress.
say = deploy/with-progress "$(1)" $(2)
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

define check_python
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "adapter needs Python 3.11 or newer; $$($(PYTHON) --version) was found. Name one: make PYTHON=python3.12 …"; exit 1; }
endef
NO_VENV = { echo "$(PYTHON) has no venv module; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }

$(INSTALLED): pyproject.toml constraints.txt
	$(check_python)
	@$(call say,making $(VENV),$(PYTHON) -m venv $(VENV)) || $(NO_VENV)
	@$(call say,installing everything that the tests need,$(BIN)/python $(PIP_INSTALL) --editable '.[dev]')
	@touch $@

install: $(INSTALLED) ## Make .venv with everything in it

# An example has a small environment of its own, and needs no build: a .pth file leads to the adapter. PYTHON's own pip
# installs its packages if it can, since installing pip would take as long again.
RUN := .cache/run
HAS_PIP := import pip, sys; sys.exit([int(part) for part in pip.__version__.split(".")[:2]] < [22, 3])
DEPENDENCIES := import tomllib; print("\n".join(tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"]))
PURELIB := import sysconfig; print(sysconfig.get_path("purelib"))

$(RUN)/%/installed: examples/%/requirements.txt pyproject.toml constraints.txt
	$(check_python)
	@rm -rf $(@D) && mkdir -p $(@D) && $(PYTHON) -c '$(DEPENDENCIES)' > $(@D)/requirements.txt
	@if $(PYTHON) -c '$(HAS_PIP)' 2>/dev/null; then \
		{ $(PYTHON) -m venv --without-pip $(@D) || $(NO_VENV); } && pip="$(PYTHON) -m pip --python $(@D)"; \
	else \
		{ $(call say,making $(@D),$(PYTHON) -m venv $(@D)) || $(NO_VENV); } && pip="$(@D)/bin/python -m pip"; \
	fi && $(call say,installing the adapter and the example in $(@D),$$pip install --no-compile --quiet \
		--disable-pip-version-check --constraint constraints.txt --requirement $(@D)/requirements.txt --requirement $<)
	@echo $(CURDIR) > $$($(@D)/bin/python -c '$(PURELIB)')/adapter.pth
	@touch $@

# run_example NAME,SERVER-AND-ARGUMENTS. The shell must survive Ctrl-C, and the exit code for Ctrl-C is not an error.
run_example = @trap : INT; $(RUN)/$(1)/bin/python -m web_adapter_command dev $(ARGS) --app-dir examples/$(1) -- \
	$(CURDIR)/$(RUN)/$(1)/bin/python -m $(2) --log-level warning || [ $$? = 130 ]

run: $(RUN)/fastapi_app/installed ## Lambda on this machine, with the FastAPI example in it; ARGS: flags of adapter dev
	$(call run_example,fastapi_app,uvicorn main:app --port '{port}')

run-flask: $(RUN)/flask_app/installed ## The same with the Flask example
	$(call run_example,flask_app,gunicorn main:app --bind '127.0.0.1:{port}' --threads 8)

test: lint types unit ## Lint, types and all tests

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

# The core, whose branches are all covered, is tested in one process. The other tests mostly wait for processes, so they
# run in several. Tests with foreign compilers, runtimes, servers, clients and schemas are a separate group.
FOREIGN_TESTS := tests/toolchains tests/deploy tests/frameworks tests/e2e/test_aws_clients.py tests/e2e/test_official_emulator.py
FOREIGN_TESTS += tests/emulator/platform_api/test_plain_handlers.py tests/emulator/platform_api/test_real_runtimes.py
FOREIGN_TESTS += tests/docs tests/proxy/test_browser.py tests/supervision/test_reload.py
CORE_TESTS := tests/payload tests/aws/test_limits.py tests/net/test_http1.py tests/net/test_token_bucket.py

unit: $(INSTALLED)
	$(BIN)/coverage run -m pytest $(CORE_TESTS)
	$(BIN)/coverage report
	$(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile $(addprefix --ignore=,$(CORE_TESTS) $(FOREIGN_TESTS))

test-deploy: $(INSTALLED) ## Test with bundles, images, templates and foreign runtimes, servers and tools (needs go, cargo, node, npm, root)
	$(BIN)/pytest --numprocesses 2 --dist loadfile $(FOREIGN_TESTS)

# An environment that has the compiled adapter, and everything else from .venv.
COMPILED := .cache/compiled
# Since Python 3.12, mypyc's own code causes this warning if an exception passes an await. It is not shown by default.
OF_MYPYC := ignore:the (type, exc, tb) signature of throw:DeprecationWarning
COMPILED_TESTS := $(CORE_TESTS) tests/net/test_paced_writer.py tests/net/server tests/runtime tests/proxy tests/hardening

compiled: $(INSTALLED) ## Compile what deploy/build-wheel compiles, and test it (needs a C compiler and Python's headers)
	rm -rf $(COMPILED) && $(PYTHON) -m venv $(COMPILED)
	COMPILE=yes PYTHON=$(COMPILED)/bin/python deploy/build-wheel $(COMPILED)/wheel
	$(COMPILED)/bin/pip install --quiet --disable-pip-version-check --no-deps $(COMPILED)/wheel/*.whl
	packages=$$($(COMPILED)/bin/python -c '$(PURELIB)'); $(BIN)/python -c '$(PURELIB)' > $$packages/tests.pth; \
		$(COMPILED)/bin/python -I -c 'import adapter.net.http1 as it; assert it.__file__.endswith(".so"), it.__file__' && \
		$(COMPILED)/bin/python -m pytest --override-ini "pythonpath=$$packages ." -W '$(OF_MYPYC)' --numprocesses 2 --dist loadfile $(COMPILED_TESTS)

bench: $(INSTALLED) ## Compare the adapter with its peers and write docs/performance.md (needs gcc; about 15 minutes)
	$(BIN)/python bench/run.py

bench-quick: $(INSTALLED) ## Compare the speed with bench/baseline.json, and warn of regressions (under 2 minutes)
	$(BIN)/python bench/run.py --quick

fuzz: $(INSTALLED) ## Fuzz each parser for FUZZ_SECONDS (60); findings are kept in .cache/fuzz
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[fuzz]'
	for target in events responses connections; do $(BIN)/python -m fuzz.run $$target $(FUZZ_SECONDS) || exit 1; done

model: $(INSTALLED) ## Explore more states of adapter dev's scheduler than the tests do (about 10 minutes)
	MODEL_DEPTH=6 MODEL_WALKS=1000 $(BIN)/pytest -q -s --timeout 600 tests/emulator/function/test_scheduler_model.py

soak: $(INSTALLED) ## SOAK_SECONDS (600) of mixed traffic for proxy and dev each, with an app that is killed at random
	$(BIN)/python bench/soak.py --seconds $(SOAK_SECONDS)

site: $(INSTALLED) ## Write the documentation as a site into .cache/site
	$(BIN)/python -m mkdocs build --strict --quiet

docs: $(INSTALLED) ## Write the generated parts and the drawn pictures of docs/
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/pictures.py

dist: ## Build sdist, plain wheel and compiled wheels into dist/ (PYTHONS: for which interpreters)
	PYTHON=$(PYTHON) deploy/build-dist dist

lock: ## Renew constraints.txt from what pyproject.toml allows
	rm -rf $(VENV)/lock && $(PYTHON) -m venv $(VENV)/lock
	$(VENV)/lock/bin/pip install --quiet --disable-pip-version-check '.[dev]'
	$(VENV)/lock/bin/pip freeze --exclude web-adapter --exclude pip --exclude setuptools > constraints.txt

clean: ## Remove what make and the tools made
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .coverage .hypothesis
