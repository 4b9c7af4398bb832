# Each line below a target can be typed by hand as well. `make help` lists the targets.
# Settings are variables, such as: make run PORT=8081

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup run test check fmt demo bench load chaos psql reset clean client test-client

export PATH := $(HOME)/.cargo/bin:$(PATH)
# Outside the clone: a second clone, or a fresh one, finds its dependencies built.
export CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/estatebase/target
export DATA_DIR ?= .data

DEBUG := $(CARGO_TARGET_DIR)/debug/estatebase
RELEASE := $(CARGO_TARGET_DIR)/release/estatebase
# The web client, where there is one.
CLIENT := $(if $(wildcard client/package.json),client)

help: ## Say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: ## Check for the tools, install what is missing if that is allowed
	@scripts/setup.sh

run: setup $(CLIENT) ## Build it, start it with a Postgres of its own, print where it is
	cargo build --release --locked
	$(RELEASE) serve --demo

# All that can fail fast comes first. One set of features throughout (that of `cargo test`), or
# every dependency would be built twice.
test: setup ## Check the form, the lints and every test
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo test --workspace --locked --no-run
	$(DEBUG) with-postgres -- cargo test --workspace --locked
	$(if $(CLIENT),$(MAKE) --no-print-directory test-client)

check: ## The form and the lints alone
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

fmt: ## Bring the code into form
	cargo fmt --all

demo: setup $(CLIENT) ## Real listings, fifty editors, a second import, the proof; starts a server if none runs
	cargo build --release --locked
	scripts/demo.sh $(RELEASE) $(ARGS)

bench: setup ## The figures, against plain Postgres and of many sockets: make bench ARGS="--only edits"
	cargo build --release --locked
	scripts/bench.sh $(RELEASE) $(ARGS)

chaos: setup ## Every fault in full count, and a table: make chaos ONLY="kills redis" KILLS=50
	cargo test --workspace --locked --no-run
	ONLY="$(ONLY)" scripts/chaos.sh $(DEBUG)

load: ## Simulated editors against a running server: make load ARGS="--editors 50"
	cargo build --release --locked
	$(RELEASE) loadtest $(ARGS)

psql: ## A prompt on the local database of a running server
	PGSERVICEFILE=$(DATA_DIR)/pg_service.conf psql service=estatebase

reset: ## Delete the local database and files (stop the server first)
	rm -rf "$$(readlink -f $(DATA_DIR)/postgres)" $(DATA_DIR)

clean: reset ## Delete what was built as well
	rm -rf $(CARGO_TARGET_DIR) client/node_modules client/dist

client: client/dist/index.html
test-client: client/node_modules/.package-lock.json
	cd client && npm run lint && npm test && npm run build

client/node_modules/.package-lock.json: client/package-lock.json
	cd client && npm ci --no-audit --no-fund
	@touch $@

client/dist/index.html: client/node_modules/.package-lock.json $(shell find client/src client/realtime client/public client/*.* -type f 2>/dev/null)
	cd client && npm run build
