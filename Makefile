# SPDX-License-Identifier: GPL-2.0-or-later
# The front of the build; the build itself is CMake and Ninja. `make help` tells the targets.

BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
JOBS ?= $(shell nproc)
FUZZ_SECONDS ?= 60
CMAKE ?= cmake

RELEASE = $(BUILD)/release
DEBUG = $(BUILD)/debug

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := all
.PHONY: all help test demo bench check fuzz coverage mutation format install clean \
	peers deps-build deps-test deps-demo deps-fuzz release debug

help:
	@printf '%s\n' \
	'make            build the program (build/release/bin/offkube)' \
	'make demo       evaluate the shop of examples/ in a lab on this machine; page in out/demo (root)' \
	'make test       build with ASan and UBSan, run every test; the last line counts them' \
	'make check      the checks of the tree alone: room law, format, sizes, licences' \
	'make peers      kube-proxy from its Go module, for comparisons: build/peers' \
	'make bench      the numbers of docs/performance.md (root)' \
	'make fuzz       libFuzzer on every parser, FUZZ_SECONDS=60 each' \
	'make coverage   branch coverage of the reference interpreter' \
	'make mutation   mutations of the targets; each must be caught (part of make test too)' \
	'make format     clang-format over src and tests' \
	'make install    DESTDIR= PREFIX=/usr/local' \
	'make clean      remove build/ and out/'

deps-build deps-test deps-demo deps-fuzz: deps-%:
	@tools/deps.sh $*

# configure: $(call configure,folder,build type,more options)
define configure
	@test -f $(1)/build.ninja || $(CMAKE) -G Ninja -S . -B $(1) -DCMAKE_BUILD_TYPE=$(2) $(3) --log-level=WARNING >/dev/null
endef

release: deps-build
	$(call configure,$(RELEASE),Release,-DOFFKUBE_TESTS=OFF -DCMAKE_INSTALL_PREFIX=$(PREFIX))
	@$(CMAKE) --build $(RELEASE) -j $(JOBS)

debug: deps-build deps-test
	$(call configure,$(DEBUG),Debug)
	@$(CMAKE) --build $(DEBUG) -j $(JOBS)

all: release

test: debug
	@tools/run-tests.sh $(DEBUG) -j $(JOBS)

check: deps-build deps-test
	$(call configure,$(DEBUG),Debug)
	@tools/run-tests.sh $(DEBUG) -j $(JOBS) -L check

coverage: deps-build deps-test
	@tools/coverage.sh $(BUILD)/coverage

mutation: deps-build deps-test
	$(call configure,$(DEBUG),Debug)
	@tools/run-tests.sh $(DEBUG) -L mutation

fuzz: deps-build deps-test deps-fuzz
	@FUZZ_SECONDS=$(FUZZ_SECONDS) tools/fuzz.sh $(BUILD)/fuzz

demo: release deps-demo
	$(RELEASE)/bin/offkube eval --quick --budget 150 --workload examples --out out/demo

# kube-proxy, from its Go module; where there is no Go it says so, and what needs it goes without.
peers:
	@tests/peers/build.sh || test $$? -eq 77

bench: release deps-demo peers
	$(RELEASE)/bin/offkube bench --out out/bench

format: deps-test
	@tools/check-tree.py --list-c | xargs clang-format-14 -i

install: release
	@DESTDIR=$(DESTDIR) $(CMAKE) --install $(RELEASE) --prefix $(PREFIX)

clean:
	rm -rf $(BUILD) out
