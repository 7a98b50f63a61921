# The two commands of a fresh machine. Everything is installed into .venv; nothing else is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test install clean

install: $(VENV)/.installed

# torch first: torchvision's wheels fit the full build, so both must be chosen together.
$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "benchbench needs Python 3.11 or newer; say which with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet torch torchvision
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

# Trains a VAE on scikit-learn's digits, scores it and shows the table. No download, no accelerator needed.
demo: install
	$(BIN)/benchbench run --model vae --dataset digits

test: install
	$(BIN)/python -m pytest -n auto -m "not slow"

# runs/ stays: nobody can make the trained models in it again for nothing.
clean:
	rm -rf $(VENV)
