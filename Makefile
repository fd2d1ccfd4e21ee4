# What one does with this repository. The work is done by scripts/; this lists it.

.DEFAULT_GOAL := help
.PHONY: help setup dev build test article story lint fmt deploy-dry-run size bench bench-handler bench-native bench-cold bench-isolates bench-shard bench-window kill-time soak sim chaos fuzz timing release release-check advisories deny clean

help: ## List these targets
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' Makefile | awk -F '\t' '{ printf "  make %-16s %s\n", $$1, $$2 }'

setup: ## Install what is pinned: Rust toolchains, npm packages, cargo tools (8 min at first)
	@scripts/setup test

dev: ## Serve the gateway, the demonstration origin and the story on this machine (PORT= ORIGIN_PORT= STORY_PORT= CONFIG=file.toml STATE=directory)
	@scripts/prerequisites && exec node scripts/dev.mjs

build: ## Build the Worker into build/
	@scripts/setup && scripts/build

test: ## Check and test (ALSO="browser soak" for stages that only CI runs, see CONTRIBUTING.md)
	@scripts/test $(if $(ALSO),--also $(ALSO))

article: ## Play the scenarios of docs/article.md, with and without the gateway, and write what happened (needs Chromium)
	@WARIFU_WRITE=1 scripts/test build-test article

story: ## Record the story and the console for the README, from the running thing (needs Chromium)
	@scripts/setup article && scripts/build --quiet && PATH="$(CURDIR)/node_modules/.bin:$$PATH" CLOUDFLARE_CF_FETCH_ENABLED=false WRANGLER_SEND_METRICS=false sh -c 'node scripts/record-story.mjs && node scripts/record-console.mjs'

lint: ## Only the formatting and clippy
	@scripts/test fmt clippy-native clippy-wasm clippy-wasm-test

fmt: ## Format the Rust code
	@scripts/fmt

deploy-dry-run: ## Bundle as for a deployment, without deploying, and show the size
	@scripts/test build dry-run

size: build ## Show where the bytes of the wasm are, by crate and module
	@PATH="$(CURDIR)/node_modules/.bin:$$PATH" node scripts/size.mjs

bench: ## Measure the cost of a request beside its peers, and write the README's table and figure (8 min, Linux; ONLY=bare,floor,warm for some)
	@scripts/setup bench && scripts/build --quiet && PATH="$(CURDIR)/node_modules/.bin:$$PATH:/usr/sbin" node benches/cost.mjs

bench-handler: ## Measure the handler alone, without the HTTP around it (Linux; BUILDS=old=../old/build,new=build to compare)
	@scripts/setup bench && scripts/build --quiet && PATH="$(CURDIR)/node_modules/.bin:$$PATH:/usr/sbin" node benches/handler.mjs

bench-native: ## Measure the parts of a request natively: reading, verifying, deciding, signing, applying the feed
	@cargo bench --bench hot

bench-cold: build ## Measure the first byte of a cold start beside a bare pass-through
	@PATH="$(CURDIR)/node_modules/.bin:$$PATH" node benches/cold-start.mjs

bench-isolates: build ## Measure the CPU and memory of one more isolate beside a bare pass-through (Linux; ROUNDS=7)
	@PATH="$(CURDIR)/node_modules/.bin:$$PATH" node benches/isolates.mjs $(if $(ROUNDS),--rounds $(ROUNDS))

bench-shard: ## Measure a shard's calls with a thousand and with a million sessions (some minutes, 1 GB of memory)
	@cargo bench --bench shard

bench-window: ## Measure the warm check of a token with an empty window of the feed and with a full one
	@cargo bench --bench window

sim: ## Run the protocol of revocation under a seeded world (SEEDS=2000, or SEED=n for one, with its trace)
	@$(if $(SEED),WARIFU_SEED=$(SEED)) WARIFU_SEEDS=$(or $(SEEDS),2000) scripts/optimised-test simulation --nocapture

chaos: ## Break what the gateway stands on in real workerd, about 208 times, and look whether its promises hold (CHAOS_SEED=n repeats, ROUNDS=, Linux; 12 min)
	@WARIFU_CHAOS_ROUNDS=$(or $(ROUNDS),208) scripts/test build build-test chaos

fuzz: ## Try to break the parsers, each for a while (WARIFU_FUZZ_SECONDS=15; some minutes the first time)
	@scripts/setup fuzz && scripts/fuzz

timing: ## Measure whether comparisons of secrets take a time that tells something (dudect; ROUNDS=)
	@cargo bench --bench timing -- $(ROUNDS)

kill-time: build ## Measure how long killed sessions are still accepted, and draw docs/figures/kill-time.svg (some minutes)
	@PATH="$(CURDIR)/node_modules/.bin:$$PATH" node benches/kill-time.mjs

release: ## Make release/ of this commit: the archive that is deployed, what is in it, their sums
	@scripts/release/run

release-check: ## Make it in two clones and compare them byte by byte (FOLDER=release: one, with that; some minutes)
	@scripts/release/check $(FOLDER)

soak: ## Load of all kinds for an hour over a million sessions; every answer is looked at (Linux; SOAK_SECONDS= SOAK_SESSIONS= SOAK_CLIENTS= SOAK_NICE=)
	@scripts/setup soak && scripts/build --quiet && PATH="$(CURDIR)/node_modules/.bin:$$PATH:/usr/sbin" node --disable-warning=ExperimentalWarning benches/soak.mjs

advisories: ## Look for known vulnerabilities and licences in what we depend on (needs the internet)
	@scripts/advisories

deny: ## Of these, what asks nobody: licences, sources and versions of crates, as deny.toml has them
	@scripts/advisories --offline

clean: ## Remove what builds made (keys, local sessions and tools stay)
	@rm -rf target build build-test .warifu/logs
