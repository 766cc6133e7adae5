# SPDX-License-Identifier: LGPL-2.1-or-later
# Everything that looks at the code rather than building it for use. `make check` itself
# is in the Makefile.

sub = $(MAKE) --no-print-directory
C_FILES   = $(shell git ls-files -co --exclude-standard '*.c')
ALL_FILES = $(C_FILES) $(shell git ls-files -co --exclude-standard '*.h')

help:
	@sed -n 's/^#: //p' mk/checks.mk

#: make                   build everything into build/ (V=1 shows the commands)
#: make deps              install the missing Debian packages
#: make demo              the main job on a real guest, with all set-up
#: make check             every test, with all set-up; the last line has the counts
#: make unit              the unit tests only; T=test_qmp_frame runs one of them
#: make e2e T=NAME        one scenario, tests/e2e/NAME.scn
#: make sim               10,000 lives of guests, from seeds (S=N: one, with its story)
#: make interleave        every schedule of small cases, the agent's real code (T=CASE: one)
#: make check-asan        unit tests under AddressSanitizer and UBSan
#: make check-tsan        unit tests under ThreadSanitizer
#: make check-long        check, sanitizers, full matrices, mutants
#: make check-matrix      guests with other kernels, and on a pSeries; one cell a kind
#: make mutants           break rules one by one; the tests must notice (T=NAME: one)
#: make lint              clang-format, clang-tidy, cppcheck, include rule, core symbols
#: make fuzz              every fuzz target for FUZZ_S seconds (30)
#: make bench             the measured rows
#: make cover             lines covered by the unit tests, per file
#: make docs             docs that are printed from tables of the sources
#: make install           DESTDIR= PREFIX=/usr/local

check-asan: deps
	+$(Q)MAKE="$(MAKE)" tests/run asan

check-tsan: deps
	+$(Q)MAKE="$(MAKE)" tests/run tsan

check-long: deps deps-long
	+$(Q)MAKE="$(MAKE)" LOCKSTEP_LONG=1 tests/run build lint unit asan tsan model sim interleave install e2e mutants

check-matrix: deps deps-matrix
	+$(Q)MAKE="$(MAKE)" LOCKSTEP_LONG=1 tests/run build matrix

deps-matrix:
	$(Q)mk/deps build lab matrix
deps-lint:
	$(Q)mk/deps build check lint
deps-long:
	$(Q)mk/deps build check lab fetch long debian

mutants: deps deps-long
	$(Q)tests/mutants/run $(T)

sim: $(B)/sim
	$(Q)$(B)/sim $(if $(S),--seed $(S) --trace,--seeds 1-10000 --jobs $(shell nproc))

interleave: $(B)/interleave
	$(Q)$(B)/interleave $(T)

e2e: all
	$(Q)$(B)/harness run tests/e2e/$(or $(T),*).scn

# The order is that of cost: what fails first is what is mended fastest.
lint: deps-lint
	$(Q)$(sub) all
	$(Q)tests/lint/cheap $(B)
	$(Q)clang-format --dry-run -Werror $(ALL_FILES)
	$(Q)cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,performance,portability \
		--inline-suppr --suppressions-list=tests/lint/cppcheck-suppressions \
		-j$(shell nproc) --cppcheck-build-dir=$(shell mkdir -p $(B)/cppcheck && echo $(B)/cppcheck) \
		-D_GNU_SOURCE -Iinclude $(C_FILES)
	$(Q)printf '%s\n' $(C_FILES) | xargs -P$(shell nproc) -n4 sh -c 'exec clang-tidy --quiet \
		--warnings-as-errors="*" -extra-arg=-Wno-unknown-warning-option "$$@" -- $(TIDY_FLAGS)' \
		clang-tidy 2>$(B)/clang-tidy.log

TIDY_FLAGS = $(subst ',,$(filter-out -g -O2 -DLOCKSTEP_VERSION=%,$(ALL_CFLAGS))) \
	-DLOCKSTEP_VERSION=\"lint\" $(call pc,--cflags,cmocka)

cover: deps
	$(Q)$(sub) B=build/cover SAN=--coverage CFLAGS="-O0 -g" unit-build
	$(Q)find build/cover -name '*.gcda' -delete
	$(Q)B=build/cover tests/run unit
	$(Q)tests/lint/cover build/cover

BENCH := $(patsubst tests/bench/%.c,$(B)/bench/%,$(wildcard tests/bench/bench_*.c))
bench: $(BENCH) all
	$(Q)for b in $(BENCH) tests/bench/agent_expedite; do $$b || exit 1; done
$(B)/bench/bench_agent_lock: $(call obj,guest-agent/memlock.c guest-agent/lock.c)
$(B)/bench/bench_store: $(call obj,$(STORE_SRC))
$(B)/bench/bench_daemon $(B)/bench/bench_hostile: $(call obj,$(FLEET_SRC)) | $(B)/lockstepd
$(B)/bench/%: $(B)/tests/bench/%.o $(LIBQMP)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(SAN) -pthread -o $@ $(filter %.o,$^) $(LIBQMP) $(call pc,--libs,$(PKGS)) \
		$(if $(filter bench_store bench_daemon bench_hostile,$*),$(call pc,--libs,$(HOST) $(DAEMON)))

FUZZ_S  ?= 30
FUZZERS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
fuzz:
	$(Q)mk/deps build long
	$(Q)$(foreach f,$(FUZZERS),$(sub) B=build/fuzz CC=clang \
		SAN="-fsanitize=fuzzer-no-link,address,undefined" build/fuzz/fuzz/$(f) && \
		mkdir -p build/fuzz/corpus-$(f) && build/fuzz/fuzz/$(f) -max_total_time=$(FUZZ_S) \
		build/fuzz/corpus-$(f) $(wildcard tests/fuzz/$(f)-seeds) &&) true
$(B)/fuzz/fuzz_agent: $(call obj,$(AGENT_SRC) tests/unit/fake_sysfs.c)
$(B)/fuzz/%: $(B)/tests/fuzz/%.o $(LIBQMP)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) -fsanitize=fuzzer,address,undefined -pthread -o $@ \
		$(filter %.o,$^) $(LIBQMP) $(call pc,--libs,$(PKGS))

.PHONY: help check-matrix deps-matrix ppc64el check-asan check-tsan check-long deps-lint deps-long mutants interleave sim e2e lint cover bench fuzz

# The agent for the lab's pSeries: Debian's cross compiler, and the two libraries unpacked.
PPC     := powerpc64le-linux-gnu
PPC_DEV := $(B)/lab/ppc64el/dev
ppc64el: $(PPC_DEV)
	+$(Q)PKG_CONFIG_LIBDIR=$(PPC_DEV)/usr/lib/$(PPC)/pkgconfig \
		PKG_CONFIG_SYSROOT_DIR=$(abspath $(PPC_DEV)) \
		$(sub) B=$(B)/ppc64el CC=$(PPC)-gcc HOST= DAEMON= \
		$(addprefix $(B)/ppc64el/,lockstep-agent-static block-trap)
$(PPC_DEV):
	$(Q)mkdir -p $@.new && cd $@.new && $(abspath tests/lab/apt-elsewhere) $(abspath $(B)/lab/apt) \
		apt-get -qq download libjson-c-dev:ppc64el liburcu-dev:ppc64el
	$(Q)for deb in $@.new/*.deb; do dpkg -x $$deb $@.new || exit 1; done
	$(Q)rm $@.new/*.deb && mv $@.new $@
