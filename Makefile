# `make test` is the one command: it installs what the tests need, and runs all of them. `.ci/run` calls it.
#
#   make test      everything below but `bench`
#   make fmt       is the code formatted? (`cargo fmt` mends it)
#   make lint      clippy, warnings are errors
#   make unit      tests inside the crates
#   make e2e       real binaries on a real RabbitMQ node; `make e2e ONLY=outage` runs one module
#   make pad       the pad's types, bundle and client
#   make browser   the pad page in Chromium, on `ringpad dev`
#   make bench     measures; by hand, some ten minutes, prints and asserts nothing
#   make env       writes fresh secrets for docker-compose.yml into .env, unless it is there
#
# All tests are of one profile and one selection of packages, so that each dependency is compiled once: cargo's dev
# profile, which builds in half the time and checks overflows. `make bench` measures the release profile.

CARGO ?= cargo
NPM ?= npm --prefix pad
ONLY ?=
ENV_FILE ?= .env

.PHONY: test tools fmt lint build unit e2e pad browser bench env
.DEFAULT_GOAL := test
# The steps share cores, ports and cargo's lock.
.NOTPARALLEL:

test: tools fmt lint build
	$(CARGO) test --workspace
	$(MAKE) pad browser

tools:
	@tests/tools.sh

fmt:
	$(CARGO) fmt --all --check

lint:
	$(CARGO) clippy --workspace --all-targets -- -D warnings

# With the tests, so that dependencies get the features that `cargo test` wants.
build:
	$(CARGO) build --workspace --all-targets

unit:
	$(CARGO) test --workspace --lib --bins

e2e: build
	$(CARGO) test --workspace --test e2e -- $(ONLY)

pad/node_modules/.package-lock.json: pad/package-lock.json
	$(NPM) ci --no-fund --no-audit
	@touch $@

pad: pad/node_modules/.package-lock.json
	$(NPM) run check
	$(NPM) test

browser: pad/node_modules/.package-lock.json build
	RINGPAD_BIN="$(CURDIR)/target/debug/ringpad" $(NPM) run test:browser

bench:
	$(CARGO) build --release --workspace --bins
	ulimit -n "$$(ulimit -Hn)" && target/release/ringpad-bench $(ONLY)

env:
	@deploy/env.sh $(ENV_FILE)
