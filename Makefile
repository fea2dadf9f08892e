# `make help` lists the targets and the settings.

PYTHON  ?= python3
EXTRAS  ?= notebooks,book,test
DATASET ?= synthetic
ROOT    ?=
PROFILE ?= smoke
SEED    ?= 0
CORES   ?= 2
BENCH   ?=

comma := ,
VENV  := .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/installed-$(subst $(comma),-,$(EXTRAS))

CHAPTERS = $(wildcard notebooks/[0-9]*.ipynb)

.PHONY: env reproduce notebooks lab labs test bench book web lint clean help

help:
	@echo 'make env        .venv with the pinned packages (EXTRAS=$(EXTRAS))'
	@echo 'make reproduce  every chapter headless, then book/_build/html'
	@echo '                DATASET=$(DATASET) ROOT=$(ROOT) PROFILE=$(PROFILE) SEED=$(SEED) CORES=$(CORES)'
	@echo 'make test       tests, chapter outputs re-checked, book built strictly'
	@echo 'make bench      time and memory of evaluation and re-ranking, as ratios to the'
	@echo '                matrix product (BENCH=$(BENCH)); reading images beside Pillow;'
	@echo '                features, training and the extractor beside eager float32'
	@echo 'make notebooks  executes notebooks/*.py into the committed .ipynb'
	@echo 'make lab        JupyterLab on the chapters'
	@echo 'make labs       the labs as students get them, in build/labs/release'
	@echo 'make book       the book from the committed chapters'
	@echo 'make web        the book, and its pages checked in headless Chromium'
	@echo 'make lint       ruff and mypy'
	@echo 'make clean      removes the default run, the built book and caches; keeps'
	@echo '                .venv and every other run'

env: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("reidlib needs Python 3.11 or later: set PYTHON=" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		-c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@

reproduce: env
	@rm -f runs/*/*/chapters/*.error
	@$(BIN)/snakemake --cores $(CORES) --nolock --rerun-incomplete \
		--quiet rules reason host --config dataset='$(DATASET)' root='$(ROOT)' \
		profile='$(PROFILE)' seed='$(SEED)' || \
		{ find runs -name '*.error' -exec cat {} + >&2; exit 1; }

notebooks: env
	$(BIN)/python book/tools.py execute notebooks/[0-9]*.py notebooks/labs/lab*.py

lab: env
	$(BIN)/jupyter lab notebooks

labs: env
	$(BIN)/python -m book.labs generate

test: env
	$(BIN)/python -m pytest --nbval --nbval-current-env --doctest-modules \
		-n 2 --dist loadfile --no-loadscope-reorder -p no:cacheprovider \
		$(CHAPTERS) tests reidlib

bench: env
	$(BIN)/python tests/benchmarks/bench_retrieval.py --threads $(CORES) $(BENCH)
	$(BIN)/python tests/benchmarks/bench_images.py
	$(BIN)/python tests/benchmarks/bench_training.py --threads $(CORES) --compiled

book: env
	$(BIN)/python book/tools.py chapters $(CHAPTERS)
	$(BIN)/jupyter-book build -W -n --keep-going book

web: book
	$(BIN)/python book/webcheck.py book/_build/html

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf runs/synthetic/smoke .snakemake book/_build book/chapters build .benchmarks .hypothesis
	rm -rf .ruff_cache .mypy_cache .pytest_cache .coverage*
	find reidlib tests book -name __pycache__ -type d -prune -exec rm -rf {} +
