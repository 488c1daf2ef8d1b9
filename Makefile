# SPDX-License-Identifier: BSD-3-Clause
#
# Short words for the things one does often. The build itself is Meson; every build tree lives below build/.

MESON  ?= meson
NINJA  ?= ninja
PREFIX ?= /usr/local
BUILD  := build/main

.DEFAULT_GOAL := all

all: $(BUILD)/build.ninja  ## build the library, the vireo command and the examples in build/main
	@$(NINJA) -C $(BUILD)

$(BUILD)/build.ninja:
	@scripts/setup build
	@$(MESON) setup --prefix=$(PREFIX) -Dtests=false $(BUILD)

demo:  ## serve every device to real Linux kernels, use them there, and show what was measured
	@scripts/setup build demo
	@scripts/guest-modules uml >/dev/null & $(MAKE) --no-print-directory $(BUILD)/build.ninja && \
		$(NINJA) -C $(BUILD) src/vireo guest/vssd/vssd-evict; status=$$?; wait; exit $$status
	@scripts/demo

check:  ## build with gcc and clang, run every test with sanitizers; the last line counts them
	@scripts/setup build check
	@scripts/check

check-all:  ## everything check does, then the slow peers: QEMU guests and longer runs
	@scripts/setup build check slow
	@scripts/check --all

install: all  ## install library, headers, command and manual pages below PREFIX (DESTDIR is honoured)
	@$(MESON) configure -Dprefix=$(PREFIX) $(BUILD)
	@$(MESON) install -C $(BUILD)

fuzz:  ## run every fuzz target for FUZZ_SECONDS (default 60) each
	@scripts/setup build check
	@scripts/fuzz

proofs:  ## prove the rings and the resolver with model checkers, and show that each proof can fail
	@scripts/setup proofs
	@proofs/run

bench-ring:  ## measure the rings beside the kernel's, interleaved on two cores, and print ratios
	@scripts/setup build bench
	@scripts/bench-ring

bench-blk:  ## measure the block device over vhost-user beside those installed, interleaved, and print ratios
	@scripts/setup build bench
	@scripts/bench-blk

bench-fio:  ## measure disks by fio, ours and those installed, interleaved; plots go to build/plots
	@scripts/setup build bench
	@scripts/bench-fio --plot build/plots

bench-net:  ## measure the network device beside DPDK's, and guests on our hub beside others on taps
	@scripts/setup build bench
	@scripts/bench-net
	@scripts/bench-uml-tcp

bench: bench-ring bench-blk bench-net bench-fio  ## all benchmarks

coverage:  ## print what the tests run of src/ring and src/memory, and fail below the goals
	@scripts/setup build coverage
	@scripts/coverage

clauses:  ## bring docs/conformance.tsv up to date and print the coverage of the standard
	@scripts/clauses update
	@scripts/clauses report

matrix:  ## run the tests that show which device works over what and with whom, and write docs/matrix.md
	@scripts/setup build check slow
	@scripts/matrix run

format:  ## lay out the sources you changed as .clang-format says
	@git ls-files -m -o --exclude-standard '*.c' '*.h' | xargs -r clang-format -i

clean:  ## remove build/
	rm -rf build

help:  ## list these targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

.PHONY: all demo check check-all install fuzz proofs bench bench-ring bench-blk bench-net coverage clauses
.PHONY: bench-fio matrix format clean help
