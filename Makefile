# One command each, on a bare machine: the environment is made on first use.
PYTHON ?= python3
VENV   ?= .venv
JOBS   ?= 2
FUZZ   ?= 10000
KILLS  ?= 100
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
DEV    := $(VENV)/.ready-dev
# Hundreds of tests start processes of their own: what is compiled once serves them all.
unexport PYTHONDONTWRITEBYTECODE
NPM    := $(abspath $(BIN))/python npm.py

.PHONY: demo studio test check fuzz bench lint clean env web types chromium

demo: $(READY)                     ## explain the bundled pictures, write demo/report.html
	$(BIN)/foveal demo --out demo
	@echo "To explore these images in the browser: make studio"

studio: $(READY)                   ## open the studio on the bundled network and pictures
	$(BIN)/foveal studio

test: $(DEV) lint chromium         ## the whole suite, slow and real-network tests included
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses $(JOBS) --dist worksteal

check: $(DEV) lint                 ## lint, types and the quick part of the suite, in a minute and a half
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses $(JOBS) --dist worksteal -m "not slow and not real" \
		tests/test_architecture.py tests/storage tests/images tests/targets tests/results tests/metrics \
		--ignore tests/storage/test_kills.py

fuzz: $(DEV)                       ## FUZZ damaged inputs of each kind, KILLS kills of each writer; what was found in fuzz.log
	FOVEAL_FUZZ=$(FUZZ) FOVEAL_KILLS=$(KILLS) OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses $(JOBS) --dist worksteal \
		--timeout 0 --durations 0 --junitxml fuzz.xml tests/fuzz tests/storage tests/models/test_pairing.py \
		tests/featurevis/test_run.py tests/benchmark > fuzz.log 2>&1 || (tail -40 fuzz.log; exit 1)
	tail -3 fuzz.log

bench: $(DEV)                      ## our cost as a ratio to the plain forward, then the peers' beside it
	$(BIN)/python -m benchmarks.cost
	$(BIN)/python -m benchmarks.peers

web: $(DEV) types                  ## build the studio's page: src/foveal/render/static
	cd web && $(NPM) run check && $(NPM) run build

types: $(DEV) web/node_modules     ## the types of the studio's page, from the server's schema
	$(BIN)/python -m foveal.webapp.schema web/src/wire/openapi.json
	cd web && $(NPM) run types

web/node_modules: web/package-lock.json $(DEV)
	cd web && $(NPM) ci
	touch $@

# The studio's pages are tested in a real browser.
chromium:
	@(command -v chromium || command -v chromium-browser || command -v google-chrome) > /dev/null || { \
		test "$$(id -u)" = 0 && apt-get update --quiet && apt-get install --yes --quiet chromium; } > /dev/null || { \
		echo "The tests of the studio need a browser: install chromium (on Debian: sudo apt-get install chromium)." >&2; exit 1; }

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/mypy

env: $(DEV)

# The pinned torch first: left to float, it brings gigabytes of CUDA libraries.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("foveal needs Python 3.11 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[studio]'
	touch $@

# The studio, tests, linters, and the peers that tests and benchmarks compare with.
$(DEV): $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) demo out build dist
