# Gabion's targets. `make help` explains each.

SHELL       := bash
GO          ?= go
TOOL        := $(GO) tool -modfile=tools/go.mod
VERSION     ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
BUILD_FLAGS := -trimpath -ldflags "-s -w -X main.version=$(VERSION)"
PACKETS     ?= 10000000
REQUESTS    ?= 50000
DURATION    ?= 1m
SEEDS       ?= 10000
PATHS       ?= 1000000
COMPARE     := $(GO) test ./internal/datapath -run TestProgramsAndEvaluatorAgree -count 1 -parallel 8

# Debian packages that targets install if they are missing: compilers, guests, rivals.
BPF_TOOLS   := clang llvm libbpf-dev
CHECK_TOOLS := $(BPF_TOOLS) clang-format protobuf-compiler shellcheck
TEST_TOOLS  := $(BPF_TOOLS) qemu-system-x86 nftables systemd curl jq openssl strace
BENCH_TOOLS := iptables ipset nftables
FAULT_TOOLS := $(BPF_TOOLS) nftables strace
BROWSER_TOOLS := chromium fonts-dejavu-core

# Debian's cloud kernel, which real guests boot.
export GABION_GUEST_KERNEL := $(CURDIR)/.cache/guest-kernel

# $(call install,PACKAGES) installs those that are missing.
install = @missing=; for p in $(1); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; fi

# The console, as the binary carries it, and what it is made of.
CONSOLE := internal/console/dist/index.html.gz
WEB     := $(shell find web -type f -not -path 'web/node_modules/*' -not -path 'web/dist/*' -not -path web/src/api/schema.ts)
NODE    := web/node_modules/.package-lock.json
BROWSER := test/browser/node_modules/.package-lock.json

export CGO_ENABLED ?= 0

.DEFAULT_GOAL := help
.PHONY: help build build-web demo test test-race test-browser screenshots check lint generate generated-is-current tools guest-kernel bench fuzz simulate mutation api-fuzz api-flood faults clean

help: ## Explain every target
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  %-22s %s\n", $$1, $$2 }'

build: $(if $(shell command -v npm),$(CONSOLE)) ## Build bin/gabion with the console; without Node, without it
	$(GO) build $(BUILD_FLAGS) -o bin/gabion ./cmd/gabion

build-web: $(CONSOLE) ## Build the console from web/ into what the binary embeds

$(CONSOLE): $(WEB) $(NODE) api/openapi.yaml
	cd web && npm run --silent build

$(NODE) $(BROWSER): %/node_modules/.package-lock.json: %/package-lock.json
	cd $* && npm ci --no-audit --no-fund --silent

demo: build ## As root: security groups decide real packets between instances on two hosts (KEEP=1 leaves it running)
	$(GO) build -trimpath -o bin/gabion-demo ./test/demo
	bin/gabion-demo

test: build $(NODE) guest-kernel ## As root: every test that fits into ten minutes
	@modprobe -q br_netfilter 2>/dev/null || true # nothing loads it by itself where it is a module; the tests say if it is missing
	$(GO) vet ./...
	$(GO) test -timeout 15m ./...
	cd web && npm run --silent test
	$(COMPARE) -packets 1000000

test-browser: build $(CONSOLE) $(BROWSER) ## As root: people use the console in a real browser, and real packets obey (ONLY=NAME for some of the tests)
	$(call install,$(BROWSER_TOOLS))
	$(GO) build -trimpath -o bin/gabion-browser-site ./test/browser
	cd test/browser && npm test --silent -- $(ONLY)

screenshots: ## As root: take the pictures of docs/console.md anew
	GABION_SCREENSHOTS=$(CURDIR)/docs/console $(MAKE) test-browser ONLY=pages VERSION=dev

test-race: ## The tests under the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race -timeout 30m ./...

check: lint generated-is-current ## Lint, formatting, and that generated code is current (installs Debian packages as root)

lint: tools $(NODE) $(BROWSER) ## Lint and formatting of Go, C, shell and the console
	cd web && npm run --silent lint
	cd test/browser && npm run --silent lint
	$(TOOL) golangci-lint run
	clang-format --dry-run --Werror $$(git ls-files '*.c' '*.h')
	shellcheck .ci/run test/browser/chromium

generate: tools ## Generate Go from the eBPF C, the contract and the stream's protocol
	$(GO) generate ./...

generated-is-current: generate ## Fail if generated code in the tree differs from what its sources make
	git diff --exit-code --stat

tools:
	$(call install,$(CHECK_TOOLS))

guest-kernel: ## Debian's cloud kernel and QEMU, for tests with real guests
	$(call install,$(TEST_TOOLS))
	@if [ ! -d $(GABION_GUEST_KERNEL)/boot ]; then \
		set -e; rm -rf $(GABION_GUEST_KERNEL).new; mkdir -p $(GABION_GUEST_KERNEL).new; cd $(GABION_GUEST_KERNEL).new; \
		apt-cache show linux-image-cloud-amd64 >/dev/null 2>&1 || apt-get update -qq; \
		apt-get -qq -o APT::Sandbox::User=root download "$$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image/ { print $$2 }')"; \
		dpkg-deb -x linux-image-*.deb .; rm linux-image-*.deb; mv $(GABION_GUEST_KERNEL).new $(GABION_GUEST_KERNEL); \
	fi

fuzz: ## As root: PACKETS (10000000) random frames through the eBPF programs and the evaluator, from SEED if one is given
	$(COMPARE) -v -timeout 6h -packets $(PACKETS) $(if $(SEED),-seed $(SEED))

api-fuzz: ## REQUESTS (50000) made out of the contract, half of them hostile, to a real server, from SEED if one is given
	@$(GO) test ./test/api -run TestGeneratedRequests -count 1 -v -timeout 1h -requests $(REQUESTS) $(if $(SEED),-seed $(SEED))

api-flood: ## PATHS (1000000) that there are not, asked of a real server; its memory before and after
	@$(GO) test ./test/api -run TestUnknownPathsTakeNoMemory -count 1 -v -timeout 1h -paths $(PATHS)

simulate: ## SEEDS (10000) of a simulated cluster with faults, the first of them SEED if one is given
	$(GO) test ./internal/agent -run TestSimulatedCluster -count 1 -timeout 2h -simulate.seeds $(SEEDS) $(if $(SEED),-simulate.first $(SEED))

faults: ## As root: break a running Gabion in every way of docs/reliability.md, and write that page; DURATION (1m) is how long a fault lasts that may last
	$(call install,$(FAULT_TOOLS))
	$(GO) test ./test/faults -count 1 -v -timeout 12h -parallel 1 -full -lasts $(DURATION) -page $(CURDIR)/docs/reliability.md

mutation: tools ## As root: plant faults into the eBPF programs, the compiler and the evaluator; fail if the tests miss one
	$(GO) run ./test/mutation

bench: ## As root: what filtering costs, beside iptables, ipset and nftables; writes bench/results.json and docs/performance.md
	$(call install,$(BENCH_TOOLS))
	$(GO) build -trimpath -o bin/gabion-bench ./bench
	bin/gabion-bench

clean: ## Remove what was built
	rm -rf bin
