# Gabion's targets. `make help` explains each.

SHELL       := bash
GO          ?= go
TOOL        := $(GO) tool -modfile=tools/go.mod
VERSION     ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
BUILD_FLAGS := -trimpath -ldflags "-s -w -X main.version=$(VERSION)"
PACKETS     ?= 10000000

# Packages that only check, generate and bench need: compilers and rivals.
DEBIAN_TOOLS := clang llvm libbpf-dev clang-format protobuf-compiler shellcheck

export CGO_ENABLED ?= 0

.DEFAULT_GOAL := help
.PHONY: help build demo test test-race check lint generate generated-is-current tools bench fuzz clean

help: ## Explain every target
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  %-22s %s\n", $$1, $$2 }'

build: ## Build bin/gabion
	$(GO) build $(BUILD_FLAGS) -o bin/gabion ./cmd/gabion

demo: build ## As root: security groups decide real packets between instances on two hosts (KEEP=1 leaves it running)
	$(GO) build -trimpath -o bin/gabion-demo ./test/demo
	bin/gabion-demo

test: build ## As root: every test that fits into ten minutes
	$(GO) vet ./...
	$(GO) test -timeout 15m ./...

test-race: ## The tests under the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race -timeout 30m ./...

check: lint generated-is-current ## Lint, formatting, and that generated code is current (installs Debian packages as root)

lint: tools ## Lint and formatting of Go, C and shell
	$(TOOL) golangci-lint run
	clang-format --dry-run --Werror $$(git ls-files '*.c' '*.h')
	shellcheck .ci/run

generate: tools ## Generate Go from the eBPF C, the contract and the stream's protocol
	$(GO) generate ./...

generated-is-current: generate ## Fail if generated code in the tree differs from what its sources make
	git diff --exit-code --stat

tools:
	@missing=; for p in $(DEBIAN_TOOLS); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then apt-get update -qq && apt-get install -y -qq $$missing >/dev/null; fi

bench: build ## As root: ns per packet of the eBPF programs, side by side, medians and ratios
	$(GO) test -run '^$$' -bench ProgramRun -benchtime 1x -timeout 30m ./internal/datapath/

clean: ## Remove what was built
	rm -rf bin
