# Every target does its own set-up; `make demo`, `make install` and `make test` are all a newcomer needs.
.DEFAULT_GOAL := help
.PHONY: help setup install .installed check test sim histories drill engine damages bench contest demo serve docs client pictures version wheels lock audit clean

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
DATA ?= ./headcount-data

help: ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: .venv/.run .venv/.test ## virtual environment in .venv, with everything for tests and bench too

.venv/.venv: scripts/setup-system.sh
	PYTHON=$(PYTHON) scripts/setup-system.sh
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@touch $@

# What builds the two distributions is not installed among what runs.
.venv/.build: .venv/.venv requirements/build.txt
	$(PIP) install --require-hashes --upgrade --target .venv/build -r requirements/build.txt
	@touch $@

.venv/.run: .venv/.build requirements/run.txt sdk/pyproject.toml server/pyproject.toml
	$(PIP) install --require-hashes -r requirements/run.txt
	@# What the client was called before.
	$(PIP) uninstall --yes segment-public-api 2>/dev/null
	PYTHONPATH=$(CURDIR)/.venv/build $(PIP) install --no-deps --no-build-isolation -e sdk -e server
	@touch $@

.venv/.test: .venv/.run requirements/test.txt server/tests/clients/package-lock.json
	$(PIP) install --require-hashes -r requirements/test.txt
	scripts/setup-node.sh
	scripts/setup-browser.sh
	@touch $@

install: $(if $(PREFIX),.installed,.venv/.run) ## a server without what tests need, in .venv; PREFIX=/opt/headcount: there, apart from this tree
	@echo "The program is $(or $(PREFIX),.venv)/bin/headcount. A server in four commands: README.md, \"Use it\"."

.installed: wheels
	test -x $(PREFIX)/bin/python || $(PYTHON) -m venv $(PREFIX)
	$(PREFIX)/bin/python -m pip --quiet --disable-pip-version-check install --require-hashes -r requirements/run.txt
	$(PREFIX)/bin/python -m pip --quiet --disable-pip-version-check install --no-index --no-deps --force-reinstall dist/*.whl

check: setup ## style, types and the direction of dependencies
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: setup ## every test
	$(BIN)/pytest

SIM = $(if $(SEED),--seed $(SEED)) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(STEPS),--steps $(STEPS)) \
	$(if $(FAULTS),--faults $(FAULTS)) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(JOBS),--jobs $(JOBS))

sim: setup ## a simulated history with faults: SEED=n [SEEDS=k] [STEPS=k] [FAULTS=kill,power] [MINUTES=k] [JOBS=k]
	PYTHONPATH=server/tests $(BIN)/python -m sim $(SIM)

histories: setup ## a cluster's data plane over a log that does its worst: [FROM=0] [SEEDS=3000] [MINUTES=k] [ARGS=--write]
	PYTHONPATH=server/tests:. $(BIN)/python -m support.stage_campaign $(if $(FROM),--from $(FROM)) \
	  $(if $(SEEDS),--seeds $(SEEDS)) $(if $(MINUTES),--minutes $(MINUTES)) $(ARGS)

drill: setup ## three nodes over a real engine, while all of it dies: [SEED=n] [SECONDS=60] [ENGINE=nats] [MOVES=no]
	PATH=$(CURDIR)/$(BIN):$$PATH PYTHONPATH=server/tests $(BIN)/python -m drill $(if $(SEED),--seed $(SEED)) \
	  $(if $(SECONDS),--seconds $(SECONDS)) $(if $(ENGINE),--engine $(ENGINE)) $(if $(filter no,$(MOVES)),--no-moves)

engine: setup ## a command beside a real engine: ENGINE=postgresql RUN="python -m bench.cluster_log"
	PATH=$(CURDIR)/$(BIN):$$PATH PYTHONPATH=server/tests $(BIN)/python -m support.engine_for $(or $(ENGINE),postgresql) $(RUN)

damages: setup ## damage a data folder in hundreds of ways: [SEEDS=200] [DAMAGES="--repair --write"]
	$(BIN)/python scripts/damages.py --seeds $(or $(SEEDS),200) $(DAMAGES)

bench: setup ## the benchmark table, on this machine; ARGS=--write keeps it
	$(BIN)/python -m bench $(ARGS)

contest: .venv/.run .venv/.contest ## Headcount beside meters that teams build: 15 minutes, with QUICK=1 three; ARGS="--write --readme" keeps it
	scripts/setup-contest.sh
	$(BIN)/python -m bench.contest --form $(if $(QUICK),quick,full) $(ARGS)

# What contends is not installed among what runs.
.venv/.contest: .venv/.venv requirements/contest.txt
	test -x .venv/contest/bin/python || $(PYTHON) -m venv .venv/contest
	.venv/contest/bin/python -m pip --quiet --disable-pip-version-check install --require-hashes -r requirements/contest.txt
	@touch $@

demo: .venv/.run ## thirteen months of traffic, counted and served; Ctrl-C ends it
	$(BIN)/headcount demo

serve: .venv/.run ## a server on DATA (default ./headcount-data)
	$(BIN)/headcount serve --data $(DATA)

docs: setup ## write docs/commands.md and docs/settings.md anew
	$(BIN)/python scripts/reference.py

client: setup ## write the synchronous client out of the asynchronous one
	$(BIN)/python scripts/synchronous.py

pictures: setup ## draw docs/pictures anew, out of the demo
	$(BIN)/python scripts/pictures.py

version: .venv/.venv ## write VERSION into what is built: [TO=1.2.3] changes it first
	$(BIN)/python scripts/version.py $(TO)

wheels: .venv/.build ## what would be published, in dist/: two wheels and two source distributions
	rm -rf dist
	for project in sdk server; do \
	  (cd $$project && PYTHONPATH=$(CURDIR)/.venv/build $(CURDIR)/$(BIN)/python -m hatchling build -d ../dist) || exit 1; done

lock: setup ## write requirements/*.txt anew
	requirements/lock.sh

audit: .venv/.audit ## known vulnerabilities of what is locked; fails where it could not look
	PYTHONPATH=.venv/audit $(BIN)/python scripts/audit.py requirements/run.txt requirements/build.txt requirements/test.txt requirements/audit.txt \
	  requirements/contest.txt

.venv/.audit: .venv/.venv requirements/audit.txt
	$(PIP) install --require-hashes --upgrade --target .venv/audit -r requirements/audit.txt
	@touch $@

clean: ## remove what the targets above made
	rm -rf .venv dist node_modules server/tests/clients/node_modules test-artifacts
