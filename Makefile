# make test   everything that guards a change, race detector on
# make long   soaks, load and fuzzing
# make tools  what the tests need (Debian packages; asks for nothing, needs root)

GO ?= go
export CGO_ENABLED ?= 1

.PHONY: build test long tools check race whole opus fuzz bench

build:
	CGO_ENABLED=0 $(GO) build -o bin/roomline ./cmd/roomline

test: tools check race whole opus

# Formatting, vet, and a build without C, which is what people run.
check:
	@test -z "$$(gofmt -l .)" || { echo "gofmt these files:"; gofmt -l .; exit 1; }
	$(GO) vet ./...
	CGO_ENABLED=0 $(GO) build -o /dev/null ./cmd/roomline

# One package at a time: many of them measure time, and drive browsers and phones.
race:
	$(GO) build -race ./...
	$(GO) test -race -p 1 -timeout 15m ./...

# What the race detector makes too slow, or counts wrongly: all the random orders
# of events, all the forbidden destinations, allocations, speech over loss.
whole:
	$(GO) test -run 'Order|Forbidden|Alloc|5000|Thousand|Understood' ./sip ./bridge ./dialplan ./media/rtp

# The C engine beside the Go one: the same sound from both.
opus:
	$(GO) test -tags libopus,nolibopusfile ./transcode

long:
	$(GO) test -count=1 -timeout 60m -tags long -run 'Soak|LossTable|Kill|Thousand' -v ./cmd/roomline ./bridge ./agent
	./scripts/fuzz 30s
	for room in browser trunk phone; do $(GO) run ./cmd/roomline bench --calls 50 --room $$room || exit 1; done
	$(GO) run ./cmd/roomline bench setup --cps 500 --duration 20s

fuzz:
	./scripts/fuzz 60s

# Every step of the media road by itself, then its two Opus engines; what they add
# up to is in docs/cost.md. The whole road: roomline bench, and roomline bench scale.
bench:
	$(GO) test -run '^$$' -bench . -benchmem ./media ./media/rtp ./media/webrtc ./transcode ./bridge
	$(GO) test -run '^$$' -bench Opus -benchmem -tags libopus,nolibopusfile ./transcode

tools:
	./scripts/tools
