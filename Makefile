# `make demo` and `make test` need Go and make; scripts/setup.sh installs the rest.
# LIBTORCH=/path with any target builds against that libtorch instead of the distribution's.

DEMO_STEPS ?= 400
FUZZTIME   ?= 10s
INTO       ?= libtorch
HOURS      ?= 24
KILLS      ?= 1000
PYTHON     ?= /usr/bin/python3
RACE_PKGS  ?= ./...
STEPS      ?= 100000
SANITIZE_PKGS ?= ./torch

# libtorch itself is not instrumented: it has no types to compare (vptr), and leaks at its end are its own.
SANITIZE = -O1 -g1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize=vptr -fno-sanitize-recover=undefined

# what `make peers` measures
MODEL     ?= resnet32
K         ?= 3
BATCH     ?= 128
IMAGE     ?= 32
HEAD      ?= conv
PRECISION ?= fp32
PEER_PRECISION ?= $(PRECISION)
DEVICE    ?= cpu
ROUNDS    ?= 3

ifneq ($(LIBTORCH),)
override LIBTORCH := $(abspath $(LIBTORCH))
# Wheels of Python's torch 2.6 and older were built with the older C++ ABI; libtorch notes that in its CMake file.
TORCH_ABI := $(shell sed -n 's/.*\(-D_GLIBCXX_USE_CXX11_ABI=[01]\).*/\1/p' $(LIBTORCH)/share/cmake/Torch/TorchConfig.cmake 2>/dev/null | head -n 1)
export LIBTORCH
# Headers of Gloo that a distribution has are not those of an unpacked libtorch, which may bring its own. Wheels have Gloo inside,
# and no headers: ours declare what c10d's need.
HAS_GLOO = nm -D --defined-only $(LIBTORCH)/lib/libtorch_cpu.so 2>/dev/null | grep -q ProcessGroupGloo
GLOO := $(if $(wildcard $(LIBTORCH)/include/gloo/context.h),,$(shell $(HAS_GLOO) && echo -I$(CURDIR)/torch/dist/declared || echo -DLOCUS_NO_GLOO))
export CGO_CXXFLAGS := -O2 -g $(GLOO) $(TORCH_ABI) -I$(LIBTORCH)/include -I$(LIBTORCH)/include/torch/csrc/api/include
export CGO_LDFLAGS := -L$(LIBTORCH)/lib -Wl,-rpath,$(LIBTORCH)/lib
endif

# Without paths in it, what the C++ compiler makes is shared by all clones of this repository, through Go's build cache.
export GOFLAGS := $(strip $(filter-out -trimpath,$(shell go env GOFLAGS 2>/dev/null)) -trimpath)

# Every file that is not a product of running, with its content: what `go generate` must leave as it finds it.
SNAPSHOT = find . \( -path ./.git -o -path ./bin -o -path ./runs -o -path ./demo \) -prune -o -type f -exec sha256sum {} + | sort -k 2

.PHONY: help setup build demo test test-libtorch2 check race race-fast fuzz fuzz-campaign sanitize endurance torture torture-processes golden evidence results onnx peers peers-loader gpu libtorch journeys dist
.DEFAULT_GOAL := help

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | awk -F '\t' '{printf "make %-15s %s\n", $$1, $$2}'

libtorch: ## fetch a libtorch for the CPU with pip where the distribution's is too old (INTO=libtorch)
	@scripts/setup.sh --cpu $(INTO)

setup: ## install what is missing: compiler, libtorch, libjpeg-turbo, Fashion-MNIST
	@scripts/setup.sh

build: setup ## build bin/locus
	@test -e bin/locus || echo "building; the C++ half, in torch/, takes about two minutes of processor time, once for all clones"
	@scripts/engine.sh bin/liblocus.so
	@scripts/graphs.sh bin/liblocus_graphs.so
	go build -tags lazyengine -o bin/locus ./cmd/locus

demo: build ## train Fashion-MNIST three ways, side by side (DEMO_STEPS=400)
	bin/locus compare fashion-bp fashion-layerwise fashion-sgr --steps $(DEMO_STEPS) --out demo --force

test: setup ## run all tests, those of the examples' module, too
	go test -timeout 15m ./...
	cd examples && go test -timeout 5m ./...

journeys: build ## a student's, a developer's and an engineer's way through Locus, on small data
	examples/student.sh
	examples/developer.sh
	examples/engineer.sh

dist: build ## a file to release: program, licences, completion, manual page
	scripts/dist.sh

test-libtorch2: ## run all tests against LIBTORCH=/path/to/libtorch
	@test -n "$(LIBTORCH)" || { echo "LIBTORCH is not set: give the folder of a libtorch 2.x, as in make $@ LIBTORCH=/opt/libtorch" >&2; exit 1; }
	$(MAKE) test

check: setup ## gofmt, vet, staticcheck, generated files current
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "gofmt would change:" $$unformatted >&2; exit 1; }
	go vet ./...
	cd examples && go vet ./...
	go tool staticcheck ./...
	@before=$$(mktemp); after=$$(mktemp); trap 'rm -f $$before $$after' EXIT; \
	$(SNAPSHOT) >$$before && go generate ./... && $(SNAPSHOT) >$$after && \
	diff $$before $$after >/dev/null || { echo "go generate failed or has renewed files that were out of date: look at git status" >&2; exit 1; }

race: setup ## run the tests under the race detector, short (RACE_PKGS=./...)
	go test -race -short -timeout 15m $(RACE_PKGS)

race-fast: setup ## the same for the packages that do without libtorch
	go test -race -short -timeout 15m $$(go list -f '{{.ImportPath}} {{join .Deps " "}}' ./... | grep -v -e /locus/torch -e /internal/testdevice | cut -d ' ' -f 1)

fuzz: setup ## run every fuzz target for FUZZTIME=10s
	@grep -rHo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sed 's|/[^/]*:func | |' | sort | while read -r package target; do \
		echo "$$package $$target"; \
		go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package </dev/null || exit 1; \
	done

fuzz-campaign: setup ## the same for HOURS=24 hours of processor time at the lowest priority, keeping what is found; goes on where it was
	HOURS=$(HOURS) scripts/fuzz

sanitize: setup ## run tests with the C++ half under the address and undefined-behaviour sanitizers (SANITIZE_PKGS=./torch)
	CGO_CXXFLAGS="$(SANITIZE) $(CGO_CXXFLAGS)" CGO_LDFLAGS="-fsanitize=undefined $(CGO_LDFLAGS)" \
	ASAN_OPTIONS=detect_leaks=0:detect_container_overflow=0:alloc_dealloc_mismatch=0 UBSAN_OPTIONS=print_stacktrace=1 \
		go test -asan -count 1 -short -timeout 30m $(SANITIZE_PKGS)

torture: setup ## kill, fail and cut the power of runs, KILLS=1000 in all; goes on where it was (hours)
	@mkdir -p runs
	LOCUS_TORTURE=$(KILLS) LOCUS_TORTURE_LOG=$(abspath runs/torture.jsonl) \
		go test -count 1 -timeout 0 -v -run 'Torture|OutlastLossOfPower|UnderFaults' ./cli

torture-processes: setup ## kill ranks of runs on several processes at random and resume, KILLS=1000 in all
	@mkdir -p runs
	LOCUS_MESH_TORTURE=$(KILLS) LOCUS_MESH_TORTURE_LOG=$(abspath runs/mesh-kills.csv) \
		go test -count 1 -timeout 0 -v -run TortureProcesses ./cli

endurance: setup ## train STEPS=100000 steps in five settings, and look for growth of memory, goroutines, files, threads (hours)
	@mkdir -p runs
	LOCUS_ENDURANCE=$(STEPS) LOCUS_ENDURANCE_LOG=$(abspath runs/endurance.jsonl) \
		go test -count 1 -timeout 0 -v -run Endurance ./cli

golden: ## make the golden values again with the scripts in testdata (PYTHON=/usr/bin/python3)
	@find . -path '*/testdata/*.py' | sort | while read -r script; do \
		echo "$$script"; \
		(cd "$$(dirname "$$script")" && $(PYTHON) "$$(basename "$$script")") || exit 1; \
	done

results: evidence ## the same as evidence

evidence: ## make the documents' tables and pictures again from results/*.csv
	go run ./results/evidence

onnx: build ## check ONNX files of all networks by ONNX's checker and onnxruntime (PYTHON with onnx, onnxruntime, pillow)
	COMMIT=$$(git rev-parse --short HEAD) $(PYTHON) -B scripts/onnx/check.py

peers: build ## steps beside those of PyTorch, in turns (MODEL K BATCH IMAGE HEAD PRECISION PEER_PRECISION DEVICE ROUNDS PYTHON)
	$(PYTHON) -B bench/peers/run.py --model $(MODEL) --modules $(K) --batch $(BATCH) --image $(IMAGE) --head $(HEAD) \
		--precision $(PRECISION) --peer-precision $(PEER_PRECISION) --device $(DEVICE) --rounds $(ROUNDS) \
		--out runs/peers-$(MODEL)-k$(K)-$(PRECISION).json

gpu: setup ## make in .gpu what scripts/gpu/check.sh needs on a machine with a card (LIBTORCH=/path/to/a/CUDA/libtorch)
	@scripts/gpu/build.sh

peers-loader: setup ## the loader beside torchvision's, in turns, on PHOTOS=folder with train/ and val/ (ROUNDS PYTHON)
	@test -n "$(PHOTOS)" || { echo "PHOTOS is not set: give an image folder with train/ and val/, as in make $@ PHOTOS=~/imagenette" >&2; exit 1; }
	OMP_NUM_THREADS=1 $(PYTHON) -B bench/peers/loader.py --rounds $(ROUNDS) $(PHOTOS)
