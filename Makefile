# The commands of a fresh machine. Everything is installed into .venv; nothing else is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-fast slow lint format types borders docs baselines install clean

# Trains a VAE on scikit-learn's digits, scores it and shows the table. No download, no accelerator needed.
demo: install
	$(BIN)/benchbench run --model vae --dataset digits

# All tests but the slow ones, a worker a core; those of seconds are listed, for whoever wants the suite to be shorter.
test: install
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not slow" --durations 60 --durations-min 2

# The tests that take less than half a second each; the longest are listed, for whoever should carry the mark.
test-fast: install
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not slow and not costly" --durations 5 --durations-min 1

# The tests that take minutes, the longest listed.
slow: install
	$(BIN)/python -m pytest -n auto --dist worksteal -m slow --durations 40 --durations-min 20

# What ruff finds, and whether files are formatted as `make format` would.
lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Formats every file and mends what ruff can mend.
format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# mypy, strict.
types: install
	$(BIN)/mypy

# Rooms import downwards only (docs/architecture.md).
borders: install
	$(BIN)/lint-imports

# The site, in site/: docs/, README and the docstrings. Any warning fails; the variable silences an advertisement.
docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# What ships is what was published: every checksum, the numbers of two baselines, the board and the cards. No network.
baselines: install
	$(BIN)/benchbench baselines verify --fast
	$(BIN)/benchbench baselines render --check

install: $(VENV)/.installed

# torch first: torchvision's wheels fit the full build, so both must be chosen together.
$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "benchbench needs Python 3.11 or newer; say which with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet torch torchvision
	$(BIN)/python -m pip install --quiet --editable '.[dev,docs,peers]'
	@touch $@

# runs/ stays: nobody can make the trained models in it again for nothing.
clean:
	rm -rf $(VENV) site
