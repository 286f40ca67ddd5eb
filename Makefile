# Commands for people and CI. `make` alone lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/certcourier
TOOLS := $(CACHE)/tools
CARGO_DENY_VERSION := 0.20.2
PROMETHEUS_CLIENT_VERSION := 0.23.1
PROMETHEUS_CLIENT := $(TOOLS)/prometheus-client-$(PROMETHEUS_CLIENT_VERSION)
SCHEMATHESIS_VERSION := 4.32.5
SCHEMATHESIS := $(TOOLS)/schemathesis-$(SCHEMATHESIS_VERSION)
CLUSTER := target/debug/test-cluster

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: build ## the main job on a real API server, start to end, in under a minute
	@$(CLUSTER) run --apply crds -- demo/run.sh

dev: build ## the same stage, left standing until Ctrl-C; then `. .dev/env` in another shell
	@$(CLUSTER) run --apply crds -- demo/dev.sh

test: requirements check generated deny machine integration schemathesis demo ## everything that CI runs

check: ## format, clippy, unit tests
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- -D warnings
	cargo test --workspace --lib --bins --quiet
	cargo test --quiet --test architecture --test crds --test docs

machine: ## the state table under 100,000 random stories
	PROPTEST_CASES=100000 cargo test --quiet --lib machine_tests

# One control plane for all test binaries; each test has a namespace of its own. Then everything that they have left
# behind is searched for what is secret.
integration: build $(PROMETHEUS_CLIENT)/bin/python3 ## the tests on a real control plane
	$(CLUSTER) run --apply crds --audit-log -- sh -c 'cargo test --workspace --tests && \
	  cargo test --quiet --test integration -- --ignored --nocapture nothing_that_is_secret'

$(PROMETHEUS_CLIENT)/bin/python3:
	@python3 -m venv $(PROMETHEUS_CLIENT) || { echo "\`python3 -m venv\` does not work: apt-get install python3-venv"; exit 1; }
	$(PROMETHEUS_CLIENT)/bin/pip install --quiet prometheus-client==$(PROMETHEUS_CLIENT_VERSION)

# Not part of `make test`: it builds the control plane of each version once, about 7 minutes each.
test-matrix: requirements ## the admission tests on Kubernetes 1.33, 1.36 and 1.37
	@cargo build --quiet --package test-cluster --bins
	@for version in 1.33 1.36 1.37; do \
	  echo "Kubernetes $$version"; \
	  K8S=$$version $(CLUSTER) build >/dev/null && K8S=$$version cargo test --quiet --test admission || exit 1; done

schemathesis: build $(SCHEMATHESIS)/bin/schemathesis ## the live HTTP API against its own OpenAPI document
	$(CLUSTER) run --apply crds -- env SCHEMATHESIS=$(SCHEMATHESIS)/bin/schemathesis \
	  cargo test --quiet --test integration -- --ignored schemathesis

$(SCHEMATHESIS)/bin/schemathesis:
	@python3 -m venv $(SCHEMATHESIS) || { echo "\`python3 -m venv\` does not work: apt-get install python3-venv"; exit 1; }
	$(SCHEMATHESIS)/bin/pip install --quiet schemathesis==$(SCHEMATHESIS_VERSION)

build: control-plane
	@cargo build --quiet --workspace --bins

control-plane: requirements ## build etcd, kube-apiserver, kube-controller-manager and kubectl once (about 7 minutes)
	@cargo build --quiet --package test-cluster --bins
	@$(CLUSTER) build >/dev/null

generate: ## write crds/ and docs/openapi.json from the Rust types
	cargo run --quiet -- crds --directory crds
	cargo run --quiet -- openapi >docs/openapi.json

generated: generate ## fail where what is committed is not what is generated
	@git diff --exit-code -- crds docs/openapi.json || { echo "run \`make generate\` and commit what it changes"; exit 1; }

# The advisory database lies where this command may not reach it; bans, licences and sources need no network.
deny: $(TOOLS)/bin/cargo-deny ## licences, bans and sources of every dependency
	$(TOOLS)/bin/cargo-deny --log-level error --all-features check bans licenses sources

$(TOOLS)/bin/cargo-deny:
	cargo install --quiet --locked --root $(TOOLS) cargo-deny@$(CARGO_DENY_VERSION)

bench: control-plane ## figures: each a ratio of two things measured in the same run
	cargo bench --package certcourier-bundle
	cargo bench --bench operator

fuzz: ## 30 seconds of each fuzz target
	@for target in $$(cd fuzz && cargo +nightly fuzz list); do (cd fuzz && cargo +nightly fuzz run $$target -- -max_total_time=30) || exit 1; done

requirements:
	@for tool in cargo go openssl curl python3 keytool; do command -v $$tool >/dev/null || { \
	  case $$tool in cargo) how="rustup, from https://rustup.rs";; go) how="Go 1.26 or later, from https://go.dev/dl";; keytool) how="apt-get install default-jdk-headless";; *) how="apt-get install $$tool";; esac; \
	  echo "\`$$tool\` is missing: install $$how"; exit 1; }; done

.PHONY: help demo dev test check machine integration schemathesis test-matrix build control-plane generate generated deny bench fuzz requirements
