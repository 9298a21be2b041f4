# Everything that is done with this repository. `make` lists it.
#
# What was installed or built is found again by file times, so a second run is
# quick. Go packages are left to the go command, which knows better than make
# what a package embeds.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS   += --no-builtin-rules --no-print-directory
.DELETE_ON_ERROR:
.NOTPARALLEL:

BINARY := bin/stripchart
PAGE   := web/dist/index.html
NPM    := npm --no-fund --no-audit --loglevel=error

# Folders are among the sources so that a deleted file is noticed too.
PAGE_SOURCES := $(shell find web -mindepth 1 \( -name node_modules -o -name dist -o -name test \) -prune \
	-o \( -type d -o -type f ! -name '*.go' ! -name '*.test.ts' \) -print)

VERSION = $(shell (git describe --tags --always --dirty 2>/dev/null || echo dev) | sed 's/^v//')

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

# --- Running and building ---------------------------------------------------

.PHONY: run
run: build ## set up, build and start: http://127.0.0.1:5000; options in ARGS="--interval 100ms"
	@$(BINARY) $(ARGS)

.PHONY: build
build: has-go $(PAGE) binary ## bin/stripchart, with the page inside

# The binary is static and does not name the folder it was built in.
.PHONY: binary
binary: has-go
	@CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION)' -o $(BINARY) ./cmd/stripchart

$(PAGE): $(PAGE_SOURCES) web/node_modules/.installed
	$(NPM) --prefix web run build
	@touch $@

# npm ci empties node_modules, so the mark is made inside, and is gone with it.
%/node_modules/.installed: %/package-lock.json %/package.json %/.npmrc
	@scripts/require.sh node
	$(NPM) --prefix $* ci
	@mkdir -p $(@D) && touch $@

.PHONY: dev
dev: has-go web/node_modules/.installed binary ## the page with hot reload at http://localhost:5173, before a real server
	@scripts/dev.sh $(ARGS)

# --- Handing it out ---------------------------------------------------------

# TARGETS=host, or linux/arm64,windows/amd64.
.PHONY: dist
dist: has-go $(PAGE) ## what is handed out, for every system, in bin/dist; TARGETS=host makes one
	$(PACKAGING) -out $(CURDIR)/bin/dist $(if $(TARGETS),-targets $(TARGETS))

PACKAGING = go -C packaging run . -root $(CURDIR) -version '$(VERSION)'

# What the tests install: the same for this machine alone, with the program that they test.
.PHONY: dist-host
dist-host: build
	@$(PACKAGING) -out $(CURDIR)/.cache/dist -targets host -program $(CURDIR)/$(BINARY)

# --- Testing ----------------------------------------------------------------

# REDIS_SERVER=/path/to/valkey-server make test, or chaos: the Redis that tests start,
# 6.2 or newer, instead of the redis-server (or valkey-server) in the path.

.PHONY: test
test: deps test-go test-web test-e2e ## every test, with all set-up

# The fault tests and the packaging are modules of their own, so that what only they need is not
# among what the product needs. The product's tests come last: their summary ends the log.
MODULES := packaging chaos .

.PHONY: test-go
test-go: has-go $(PAGE) ## the Go tests, with the race detector
	@mkdir -p .cache
	for m in $(MODULES); do go -C $$m test -race -shuffle=on -timeout 30m ./...; done 2>&1 | tee .cache/test-go.log

.PHONY: test-web
test-web: web/node_modules/.installed ## the page's unit tests
	$(NPM) --prefix web test

.PHONY: test-e2e
test-e2e: dist-host e2e/node_modules/.installed ## the real binary in a real browser
	$(NPM) --prefix e2e test

# An independent judge, written from the documents alone: MODE=redis, FOR=30m, SEED of an earlier run.
.PHONY: witness
witness: deps build e2e/node_modules/.installed ## what pages hold against what was acknowledged, by the documents: MODE=memory, FOR=1m
	node e2e/witness/main.js --binary $(BINARY) --mode $(MODE) --for $(FOR) --seed $(SEED) $(ARGS)
witness: MODE = memory
witness: FOR  = 1m

# FAULTS=500, or FOR=2h; SEED repeats the choices of an earlier run, ONLY takes a
# part of a fault's name. MODE=redis: several servers that meet in Redis; MODE=http: one
# server with its log in memory, written to over HTTP.
FAULTS ?= 500
FOR    ?= 0
SEED   ?= 0
ONLY   ?=
MODE   ?= redis

CHAOS_redis := TestNothingAcknowledgedIsLostByManyProcesses
CHAOS_http  := TestAloneItKeepsEverySample

.PHONY: chaos
chaos: deps ## real processes, FAULTS=500 faults and an oracle, MODE=redis or http; the table is printed and in .cache/chaos.md
	@mkdir -p .cache
	go -C chaos test -run $(or $(CHAOS_$(MODE)),$(error MODE is redis or http)) -v -timeout 0 -chaos.faults $(FAULTS) -chaos.for $(FOR) \
		-chaos.seed $(SEED) -chaos.only '$(ONLY)' -chaos.report $(CURDIR)/.cache/chaos.md

.PHONY: storm
storm: has-go ## a storm in internal/live for FOR=1h, with new seeds; SEED repeats one, ONLY=root,lag takes some kinds
	go test ./internal/live -run TestAStormOfEveryKindBreaksNoPromise -v -count=1 -timeout 0 \
		-storm.for $(if $(filter 0,$(FOR)),1h,$(FOR)) -storm.seed $(SEED) -storm.only '$(ONLY)'

.PHONY: deps
deps: has-go ## install, or name, what the tests need besides Go, Node and npm
	@scripts/require.sh node
	@scripts/deps.sh

.PHONY: bench
bench: has-go ## the Go benchmarks, viewers against the floor, throughput of Redis: some minutes
	go test -run '^$$' -bench . -benchmem ./...
	go run ./bench/viewers -quick
	go run ./bench/throughput -quick

# --- Looking after the code -------------------------------------------------

# go list knows the packages, and so leaves out what is not ours.
GO_FILES = $$(for m in $(MODULES); do go -C $$m list -f '{{$$d := .Dir}}{{range .GoFiles}}{{$$d}}/{{.}} {{end}}{{range .TestGoFiles}}{{$$d}}/{{.}} {{end}}{{range .XTestGoFiles}}{{$$d}}/{{.}} {{end}}{{range .IgnoredGoFiles}}{{$$d}}/{{.}} {{end}}' ./...; done)

.PHONY: lint
lint: has-go web/node_modules/.installed e2e/node_modules/.installed ## gofmt, go vet, staticcheck, Biome, tsc
	@files=$(GO_FILES); unformatted=$$(gofmt -l $$files); \
	if [[ -n $$unformatted ]]; then echo "not formatted; run make fmt:"; echo "$$unformatted"; exit 1; fi
	for m in $(MODULES); do go -C $$m vet ./...; go -C $$m tool staticcheck ./...; done
	$(NPM) --prefix web run lint
	$(NPM) --prefix e2e run lint

# Apart from lint, because the first time takes minutes: the other systems' libraries are compiled. Those of the other
# processors are left to make dist.
.PHONY: lint-systems
lint-systems: has-go ## whether the program builds for macOS and Windows
	for system in darwin/arm64 windows/amd64; do \
		CGO_ENABLED=0 GOOS=$${system%/*} GOARCH=$${system#*/} go build -trimpath -buildvcs=false -o /dev/null ./cmd/stripchart; \
	done

.PHONY: fmt
fmt: has-go web/node_modules/.installed e2e/node_modules/.installed ## format everything
	@files=$(GO_FILES); gofmt -w $$files
	$(NPM) --prefix web run fmt
	$(NPM) --prefix e2e run fmt

.PHONY: screenshots
screenshots: deps build e2e/node_modules/.installed ## the README's pictures, from the real page
	$(NPM) --prefix e2e run screenshots

.PHONY: clean
clean: ## remove what was built, and keep what was installed
	rm -rf bin .cache e2e/out
	find web/dist -mindepth 1 ! -name placeholder.txt -delete

.PHONY: has-go
has-go:
	@scripts/require.sh go
