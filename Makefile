# Bare `make` lists the targets.
.DEFAULT_GOAL := help
BIN := $(CURDIR)/.bin
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build the static binary ./crmsync
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w -X main.version=$(VERSION)' -o crmsync ./cmd/crmsync

.PHONY: test
test: ## Run every test, race detector on
	go test -race ./...

.PHONY: lint
lint: $(BIN)/golangci-lint ## Check formatting, vet, lint, go.mod and who imports whom
	@test -z "$$($(BIN)/gofumpt -l cmd config connectors mapping sync | tee /dev/stderr)"
	go vet ./...
	$(BIN)/golangci-lint run
	go mod tidy -diff
	sh .ci/deps

.PHONY: fmt
fmt: $(BIN)/gofumpt ## Format the code
	$(BIN)/gofumpt -w cmd config connectors mapping sync

.PHONY: kill
kill: ## kill -9 of serve, 20 times on SQLite and 20 on PostgreSQL, under load
	go test ./cmd/crmsync -run TestKill -kills 20 -v -timeout 20m

.PHONY: faults
faults: ## Break what the program stands on, a few rounds of each fault, about seven minutes
	go test ./cmd/crmsync -run TestFaults -faults push -v -parallel 5 -timeout 30m

.PHONY: chaos
chaos: ## Break it at length, hours, and write docs/faults.md; mutants write their part
	go test ./cmd/crmsync -run TestFaults -faults larger -v -parallel 4 -timeout 12h -table $(CURDIR)/docs/faults.md
	go test ./cmd/internal/app -run TestAllSidesAgreeInTheEnd -rapid.checks 500 -v -timeout 2h
	.ci/mutants docs/faults.md

.PHONY: mutants
mutants: ## Break the code on purpose, one way at a time; each must turn a test red
	.ci/mutants

.PHONY: vendor-clients
vendor-clients: build ## Run the vendors' own clients against the simulators (npm)
	CRMSYNC=$(CURDIR)/crmsync .ci/vendor-clients/run

.PHONY: bench
bench: build ## Measure answers, delays, listings, contact syncs and idle memory of ./crmsync, half an hour
	go test ./mapping -run XXX -bench .
	CRMSYNC=$(CURDIR)/crmsync go test ./cmd/crmsync -run "TestMeasure|TestAMessageAppears" -measure -v -timeout 60m

# Tool versions are pinned in .ci/tools, apart from the program's own
# dependencies.
$(BIN)/golangci-lint $(BIN)/gofumpt: .ci/tools
	sh .ci/tools $(BIN)
