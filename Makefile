# make build run test race invariants fuzz lint bench cover: nothing else to learn.
GO      ?= go
FUZZ    ?= 60s
TESTS   ?= ./...
ARGS    ?= -m 8222
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null)
COMMIT  := $(shell git rev-parse --short=7 HEAD 2>/dev/null)
LDFLAGS  = -s -w -X ramjet/engine/server.gitCommit=$(COMMIT)

.PHONY: build run test race invariants fuzz lint bench cover

build: ## the binary, at ./ramjet
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o ramjet ./cmd/ramjet

run: build ## clients on 4222, monitoring on 8222
	./ramjet $(ARGS)

test: ## vet, lint and every test
	$(GO) vet ./...
	$(GO) test $(TESTS)

race: ## every test under the race detector
	$(GO) test -race $(TESTS)

invariants: ## every test with assertions and poisoned buffers
	$(GO) test -tags invariants $(TESTS)

fuzz: ## every fuzz target for FUZZ each
	@set -e; for p in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
	    echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZ) $$p; \
	  done; done

lint: ## import layers, forbidden calls, vet, staticcheck
	$(GO) vet ./...
	$(GO) test -count=1 ./cmd/lint
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

bench: ## micro-benchmarks, ready for benchstat
	$(GO) test -run '^$$' -bench . -benchmem $(TESTS)

cover: ## coverage by package, and coverage.html
	$(GO) test -coverprofile coverage.out $(TESTS)
	$(GO) tool cover -html coverage.out -o coverage.html
