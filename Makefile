# What one does with this repository. The work is done by scripts/; this lists it.

.DEFAULT_GOAL := help
.PHONY: help setup dev build test lint fmt deploy-dry-run bench-cold bench-shard advisories clean

help: ## List these targets
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' Makefile | awk -F '\t' '{ printf "  make %-16s %s\n", $$1, $$2 }'

setup: ## Install what is pinned: Rust toolchains, npm packages, cargo tools (8 min at first)
	@scripts/setup test

dev: ## Serve the gateway and the demonstration origin on this machine (PORT= ORIGIN_PORT= CONFIG=file.toml STATE=directory)
	@scripts/prerequisites && exec node scripts/dev.mjs

build: ## Build the Worker into build/
	@scripts/build

test: ## Check and test everything, as CI does
	@scripts/test

lint: ## Only the formatting and clippy
	@scripts/test fmt clippy-native clippy-wasm clippy-wasm-test

fmt: ## Format the Rust code
	@cargo fmt --all

deploy-dry-run: ## Bundle as for a deployment, without deploying, and show the size
	@scripts/test build dry-run

bench-cold: build ## Measure the first byte of a cold start beside a bare pass-through
	@PATH="$(CURDIR)/node_modules/.bin:$$PATH" node benches/cold-start.mjs

bench-shard: ## Measure a shard's calls with a thousand and with a million sessions (some minutes, 1 GB of memory)
	@cargo bench --bench shard

advisories: ## Look for known vulnerabilities and licences in what we depend on (needs the internet)
	@scripts/advisories

clean: ## Remove what builds made (keys, local sessions and tools stay)
	@rm -rf target build build-test .warifu/logs
