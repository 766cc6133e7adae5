# SPDX-License-Identifier: LGPL-2.1-or-later
# One Makefile, non-recursive. `make help` lists the targets.

VERSION := 0.1.0
B       := build
V       ?= 0
Q       := $(if $(filter 0,$(V)),@,)
say      = $(if $(filter 0,$(V)),@printf '  %-6s %s\n' '$(1)' '$(2)',)

CC      ?= gcc
CFLAGS  ?= -O2 -g
WARN    := -Wall -Wextra -Wvla -Wshadow -Wmissing-prototypes $(if $(CI),-Werror)
SAN     ?=
PKGS    := json-c liburcu liburcu-cds
HOST    := libsystemd inih
DAEMON  := sqlite3 libmicrohttpd
pc       = $(shell pkg-config $(1) $(2) 2>/dev/null)
# Evaluated per command, not when make starts: `make deps` must run without them.
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE -DLOCKSTEP_VERSION='"$(VERSION)"' $(WARN) $(CFLAGS) $(SAN) \
             -fPIC -pthread -Iinclude $(call pc,--cflags,$(PKGS) $(HOST) $(DAEMON))

QMP_SRC   := $(wildcard qmp/*.c)
CORE_SRC  := $(wildcard coordinator/core/*.c)
STORE_SRC := $(wildcard coordinator/store/*.c)
DAEM_SRC  := $(STORE_SRC) $(wildcard coordinator/daemon/*.c)
COORD_SRC := $(wildcard $(patsubst %,coordinator/%/*.c,hv run report cli))
AGENT_SRC := $(filter-out guest-agent/agent.c,$(wildcard guest-agent/*.c))
HARN_SRC  := $(wildcard tests/harness/*.c)
FLEET_SRC := $(filter-out %/ordeal.c,$(wildcard tests/fleet/*.c)) coordinator/hv/conn.c
UNIT_SRC  := $(wildcard tests/unit/test_*.c)

comma := ,
obj = $(patsubst %.c,$(B)/%.o,$(1))
LIBQMP := $(B)/libqmp.a
PROGS  := $(B)/lockstep $(B)/lockstepd $(B)/lockstep-agent $(B)/lockstep-agent-static $(B)/harness \
          $(B)/block-trap $(B)/kexec $(B)/fake-guest $(B)/kill-point.so $(B)/malloc-point.so
UNIT   := $(patsubst tests/unit/%.c,$(B)/unit/%,$(UNIT_SRC))
MANUAL := $(patsubst docs/man/%.in,$(B)/man/%,$(wildcard docs/man/*.in))
COMPLETE := $(B)/completion/lockstep $(B)/completion/_lockstep
ALONE  := $(patsubst %.c,$(B)/%,$(wildcard mk/*.c examples/*.c))

.DEFAULT_GOAL := all
all: $(LIBQMP) $(B)/libqmp.so $(PROGS) $(ALONE) $(MANUAL) $(COMPLETE)

-include mk/checks.mk

$(B)/%.o: %.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(LIBQMP): $(call obj,$(QMP_SRC))
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(B)/libqmp.so: $(call obj,$(QMP_SRC)) qmp/libqmp.map
	$(call say,LD,$@)
	$(Q)$(CC) $(SAN) -shared -Wl,-soname,libqmp.so.0 -Wl,--version-script=qmp/libqmp.map \
		-o $@ $(filter %.o,$^) $(call pc,--libs,json-c)

$(B)/lockstepd: $(call obj,$(DAEM_SRC))
$(B)/lockstep $(B)/lockstepd: $(B)/%: $(B)/coordinator/%.o \
		$(call obj,coordinator/no_memory.c $(COORD_SRC) $(CORE_SRC)) $(LIBQMP)
	$(call say,LD,$@)
	$(Q)$(CC) $(SAN) -pthread -o $@ $(filter %.o,$^) $(LIBQMP) \
		$(call pc,--libs,$(PKGS) $(HOST) $(if $(filter %d,$@),$(DAEMON)))

$(B)/lockstep-agent: $(call obj,guest-agent/agent.c $(AGENT_SRC)) $(LIBQMP)
	$(call say,LD,$@)
	$(Q)$(CC) $(SAN) -pthread -o $@ $^ $(call pc,--libs,$(PKGS))

# What the lab's initramfs carries: no shared library is there. Shown only if it fails: the
# linker warns about getaddrinfo(), which libqmp needs for tcp: addresses and the agent never.
$(B)/lockstep-agent-static: $(call obj,guest-agent/agent.c $(AGENT_SRC)) $(LIBQMP)
	$(call say,LD,$@)
	$(Q)$(CC) -pthread -static -o $@ $^ $(call pc,--static --libs,$(PKGS)) 2>$@.log || \
		{ cat $@.log >&2; exit 1; }

# The lab guest's own.
$(B)/block-trap $(B)/kexec: $(B)/%: $(call obj,tests/lab/%.c)
	$(call say,LD,$@)
	$(Q)$(CC) -static -o $@ $^

$(B)/fake-guest: $(call obj,tests/lab/fake-guest.c $(FLEET_SRC)) $(LIBQMP)
	$(call say,LD,$@)
	$(Q)$(CC) $(SAN) -pthread -o $@ $^ $(call pc,--libs,$(PKGS) $(HOST))

# Preloaded into a daemon by tests.
$(B)/kill-point.so $(B)/malloc-point.so: $(B)/%.so: $(call obj,tests/lab/%.c)
	$(call say,LD,$@)
	$(Q)$(CC) -shared -o $@ $^

$(B)/harness: $(call obj,$(HARN_SRC)) $(LIBQMP)
	$(call say,LD,$@)
	$(Q)$(CC) $(SAN) -pthread -o $@ $^ $(call pc,--libs,json-c)

# A unit test links what its name says: test_qmp_*, test_agent_*, test_core_*, test_host_*,
# test_daemon_*, test_store_*, test_fleet_*.
HOST_FAKES := $(addprefix tests/unit/,fake_guest.c fake_server.c silent.c)
unit_objs = $(call obj,$(if $(filter test_agent_%,$(1)),$(AGENT_SRC) tests/unit/fake_sysfs.c \
            tests/unit/agent_client.c,\
            $(if $(filter test_core_%,$(1)),$(CORE_SRC) $(wildcard tests/sim/world*.c) \
            tests/unit/world_failed.c,\
            $(if $(filter test_host_%,$(1)),$(COORD_SRC) $(CORE_SRC) $(HOST_FAKES),\
            $(if $(filter test_daemon_%,$(1)),$(DAEM_SRC) $(COORD_SRC) $(CORE_SRC) tests/unit/silent.c \
            $(if $(filter test_daemon_lane%,$(1)),tests/unit/fake_lane.c),\
            $(if $(filter test_store_%,$(1)),$(STORE_SRC) $(wildcard tests/unit/disk*.c),\
            $(if $(filter test_fleet_%,$(1)),$(FLEET_SRC) tests/fleet/ordeal.c)))))))
# tests/unit/fake_lane.c plays what a lane is driven by: who calls these calls __wrap_...() there.
LANE_TAKEN := $(addprefix run_,new free look_start look_error view hv start cancel) claim_take \
              claim_drop posix_spawn $(addprefix hv_,store_read doctor expect_unplug)
.SECONDARY: # objects are kept
.SECONDEXPANSION:
$(addprefix $(B)/unit/test_fleet_,metrics no_memory hostile_agents hostile_qemus): | $(B)/lockstepd \
		$(B)/malloc-point.so
$(B)/unit/%: $(B)/tests/unit/%.o $$(call unit_objs,$$*) $(LIBQMP)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(SAN) -pthread -o $@ $^ $(call pc,--libs,$(PKGS) $(HOST)) \
		$(if $(filter test_daemon_lane%,$*),$(addprefix -Wl$(comma)--wrap=,$(LANE_TAKEN))) \
		$(call pc,--libs,cmocka $(if $(filter test_store_% test_daemon_%,$*),$(DAEMON)))

# The agent's own objects over a scheduler of ours: who calls one of these functions calls
# __wrap_...() (tests/interleave/wrap.c).
TAKEN := $(addprefix pthread_,mutex_init mutex_destroy mutex_lock mutex_trylock mutex_unlock \
         cond_init cond_destroy cond_wait cond_timedwait cond_signal cond_broadcast \
         create join timedjoin_np detach self kill) clock_gettime __assert_fail
$(B)/interleave: $(call obj,$(wildcard tests/interleave/*.c) $(AGENT_SRC) tests/unit/fake_sysfs.c) $(LIBQMP)
	$(call say,LD,$@)
	$(Q)$(CC) $(SAN) -no-pie -pthread -o $@ $(addprefix -Wl$(comma)--wrap=,$(TAKEN)) $^ \
		$(call pc,--libs,$(PKGS))

$(B)/sim: $(call obj,$(wildcard tests/sim/*.c) $(CORE_SRC))
	$(call say,LD,$@)
	$(Q)$(CC) $(SAN) -o $@ $^

$(B)/dialogues: $(call obj,$(wildcard tests/dialogues/*.c tests/sim/world*.c) $(COORD_SRC) $(CORE_SRC)) \
		$(LIBQMP)
	$(call say,LD,$@)
	$(Q)$(CC) $(SAN) -pthread -o $@ $^ $(call pc,--libs,$(PKGS) $(HOST))

unit-build: $(UNIT)
unit: $(if $(T),$(B)/unit/$(T),$(UNIT))
	$(Q)for t in $^; do $$t || exit 1; done

# Programs of one file each on libqmp: build/examples/NAME, build/mk/NAME.
$(ALONE): %: %.o $(LIBQMP)
	$(call say,LD,$@)
	$(Q)$(CC) $(SAN) -pthread -o $@ $^ $(call pc,--libs,json-c)

$(B)/mk/print_errors: $(call obj,$(CORE_SRC))

# What the programs say of themselves with --help, for man and for the Tab key.
$(B)/man/%: docs/man/%.in mk/print_man mk/help.awk $(PROGS) $(B)/mk/print_tables
	$(call say,MAN,$@)
	$(Q)mkdir -p $(@D) && mk/print_man $< $(B) $(VERSION) >$@.new && mv $@.new $@
$(COMPLETE): $(B)/completion/%: mk/completion/%.in mk/print_completion mk/help.awk $(B)/lockstep
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D) && mk/print_completion $* $(B) >$@.new && mv $@.new $@

# Both do all their own set-up. The recursion lets pkg-config be asked after deps ran.
deps:
	$(Q)mk/deps build lab fetch check

demo: deps
	$(Q)$(MAKE) --no-print-directory all && $(B)/harness run --demo tests/e2e/demo.scn

check: deps
	+$(Q)MAKE="$(MAKE)" B=$(B) tests/run

docs: $(B)/mk/print_protocol $(B)/mk/print_errors $(B)/harness
	$(Q)$(B)/mk/print_protocol >docs/protocol.md
	$(Q)$(B)/mk/print_errors >docs/errors.md
	$(Q)mk/print_scenarios $(B) >docs/scenarios.md

PREFIX  ?= /usr/local
BINDIR  ?= $(PREFIX)/bin
SBINDIR ?= $(PREFIX)/sbin
LIBDIR  ?= $(PREFIX)/lib
MANDIR  ?= $(PREFIX)/share/man
BASHDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHDIR  ?= $(PREFIX)/share/zsh/site-functions
install: all
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(SBINDIR) $(DESTDIR)$(LIBDIR)/pkgconfig \
		$(DESTDIR)$(PREFIX)/include/lockstep $(DESTDIR)$(BASHDIR) $(DESTDIR)$(ZSHDIR) \
		$(addprefix $(DESTDIR)$(MANDIR)/man,1 5 8)
	install $(B)/lockstep $(DESTDIR)$(BINDIR)
	install $(B)/lockstepd $(B)/lockstep-agent $(DESTDIR)$(SBINDIR)
	install -m 644 include/qmp*.h $(DESTDIR)$(PREFIX)/include
	install -m 644 include/lockstep/err.h $(DESTDIR)$(PREFIX)/include/lockstep
	install -m 644 $(LIBQMP) $(DESTDIR)$(LIBDIR)
	install $(B)/libqmp.so $(DESTDIR)$(LIBDIR)/libqmp.so.$(VERSION)
	ln -sf libqmp.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libqmp.so.0
	ln -sf libqmp.so.0 $(DESTDIR)$(LIBDIR)/libqmp.so
	sed -e "s|@PREFIX@|$(PREFIX)|; s|^libdir=.*|libdir=$(LIBDIR)|; s|@VERSION@|$(VERSION)|" \
		qmp/libqmp.pc.in >$(DESTDIR)$(LIBDIR)/pkgconfig/libqmp.pc
	install -m 644 $(B)/completion/lockstep $(DESTDIR)$(BASHDIR)
	install -m 644 $(B)/completion/_lockstep $(DESTDIR)$(ZSHDIR)
	for page in $(MANUAL); do \
		install -m 644 $$page $(DESTDIR)$(MANDIR)/man$${page##*.} || exit 1; done

clean:
	rm -rf $(B)

.PHONY: all unit unit-build deps demo check docs install clean
-include $(shell find $(B) -path $(B)/lab -prune -o -type f -name '*.d' -print 2>/dev/null)
