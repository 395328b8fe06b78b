# SPDX-License-Identifier: GPL-2.0-or-later
#
#   make            build/filemon
#   make demo       installs packages, builds, and shows filemon at work on a real kernel
#   make check      installs packages and runs every test; the last line is "N passed, N failed"
#   make check-unit runs the unit tests: in seconds, without root, installs nothing
#   make check-kernels  plays the tests on the kernels of Debian 11 to sid, which takes hours:
#                   KERNELS="bookworm trixie" SCENES= SEEDS=200 ENGINES="stap bpf"; prints a table
#   make check-arm64    builds for arm64, and plays them on its kernel; make check-s390x runs the unit tests
#   make check-clang    builds with clang 13 to 19, and loads the eBPF programs
#   make deps       installs the packages that make check needs
#   make soak       runs the random workloads of make check with other seeds: SEEDS=10000, FROM=1
#   make fuzz       runs libFuzzer on each parser for FUZZ_SECONDS=60
#   make coverage   reports which lines the tests in unit and cli execute
#   make bench      measures what watching costs, compared with other tools
#   make install    DESTDIR= PREFIX=; make uninstall removes the installed files
#   make dist       build/filemon-VERSION.tar.gz of the last commit
#   make deb        build/deb/*.deb, Debian packages of the last commit; DEB_HOST=arm64 for another architecture
#   make check-deb  checks these packages: lintian, and installing, upgrading and removing them in a small Debian
#   make lint       cppcheck, shellcheck, clang-format, man page
#   make format
#
# V=1 shows commands.  SANITIZE=address,undefined builds and tests with these sanitizers.  BPF=0 leaves
# the bpf engine out, and REPLAY=0 the option -r, which needs jansson.  STATIC=1 links build/filemon with
# static libraries.  WERROR=1 (the default if CI is set) makes warnings errors.  CPPFLAGS, CFLAGS,
# LDFLAGS and LDLIBS are yours, and come after the Makefile's own flags.  To build for another machine
# set CROSS_COMPILE=aarch64-linux-gnu- or CC; BPF_ARCH (x86, arm64) follows from the compiler.  CLANG,
# BPFTOOL and LLVM_STRIP are the tools that make the eBPF programs, for any machine.

PREFIX ?= /usr/local
BINDIR = $(PREFIX)/bin
MANDIR = $(PREFIX)/share/man
DATADIR = $(PREFIX)/share/filemon
DOCDIR = $(PREFIX)/share/doc/filemon
BASHDIR = $(PREFIX)/share/bash-completion/completions
ZSHDIR = $(PREFIX)/share/zsh/site-functions
UNITDIR = $(PREFIX)/lib/systemd/system

ifeq ($(origin CC),default)
CC = $(CROSS_COMPILE)$(if $(CROSS_COMPILE),gcc,cc)
endif
PKG_CONFIG ?= $(CROSS_COMPILE)pkg-config
CLANG ?= clang
BPFTOOL ?= bpftool
LLVM_STRIP ?= llvm-strip
CFLAGS ?= -O2 -g
WERROR ?= $(if $(CI),1)
BUILD = build$(if $(SANITIZE),/san)
V ?= 0
Q = $(if $(filter 1,$(V)),,@)
BPF ?= 1
REPLAY ?= 1
STATIC ?= 0
static := $(filter-out 0,$(STATIC))

cppflags = -D_GNU_SOURCE -Isrc -I$(BUILD) $(if $(filter 0,$(BPF)),-DFILEMON_NO_BPF) \
    $(if $(filter 0,$(REPLAY)),-DFILEMON_NO_REPLAY) $(if $(static),-DFILEMON_STATIC) $(libs_cppflags)
warnings = -Wall -Wextra -Wvla -Wshadow -Wmissing-prototypes $(if $(filter 1,$(WERROR)),-Werror)
sanitize = $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all)
# Files have the same names in the debugging information wherever they are built.
prefix_map = -ffile-prefix-map="$(CURDIR)"=.
cflags = -std=c11 $(warnings) $(sanitize) $(prefix_map)

# The user's flags come last, because compilers obey the last of two contradicting flags.
compile = $(CC) $(cppflags) $(CPPFLAGS) $(cflags) $(CFLAGS)
link = $(compile) $(LDFLAGS)

sources := $(filter-out src/engine/bpf/% src/engine/replay/%,$(wildcard src/*.c src/*/*.c src/*/*/*.c))
ifneq ($(BPF),0)
sources += $(filter-out %.bpf.c,$(wildcard src/engine/bpf/*.c))
libs := $(or $(shell $(PKG_CONFIG) $(if $(static),--static) --libs libbpf 2>/dev/null),-lbpf $(if $(static),-lelf -lz))
libs_cppflags := $(shell $(PKG_CONFIG) --cflags libbpf 2>/dev/null)
endif
ifneq ($(REPLAY),0)
sources += $(wildcard src/engine/replay/*.c)
libs += $(or $(shell $(PKG_CONFIG) $(if $(static),--static) --libs jansson 2>/dev/null),-ljansson)
libs_cppflags += $(shell $(PKG_CONFIG) --cflags jansson 2>/dev/null)
endif
objects := $(sources:%.c=$(BUILD)/%.o)
modules := $(filter-out $(BUILD)/src/main.o,$(objects))
unit_tests := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,\
    $(filter-out $(if $(filter 0,$(BPF)),tests/unit/test_bpf_%) \
        $(if $(filter 0,$(REPLAY)),tests/unit/test_replay%),$(wildcard tests/unit/test_*.c)))

# The Debian packages that each part needs, besides make.
packages_bpf := clang llvm libbpf-dev bpftool
packages_build := gcc libc6-dev $(if $(filter-out 0,$(REPLAY)),libjansson-dev) $(if $(filter-out 0,$(BPF)),$(packages_bpf))
packages_vm := systemtap qemu-system-x86 busybox-static linux-image-amd64 linux-headers-amd64
packages_check := libcmocka-dev libjansson-dev jq strace gawk logrotate zsh musl-tools
packages_jq := prometheus
# An npm from elsewhere is kept: Debian's would install a second Node.js beside it.
packages_trace := chromium fonts-dejavu-core $(foreach tool,npm python3,$(if $(shell command -v $(tool)),,$(tool)))
packages_live := strace inotify-tools systemd runc iproute2 procps git sqlite3 btrfs-progs prometheus prometheus-node-exporter \
    rsyslog rsyslog-relp rsyslog-pgsql rsyslog-elasticsearch rsyslog-kafka postgresql
packages_kernels := mmdebstrap qemu-system-x86 busybox-static xz-utils zstd jq
packages_arm64 := mmdebstrap arch-test qemu-system-arm qemu-user-static busybox-static xz-utils zstd jq
packages_s390x := mmdebstrap qemu-user-static
packages_bench := jq linux-perf bpftrace strace libbpf-tools fatrace
packages_fuzz := clang libclang-rt-dev libjansson-dev
packages_coverage := gcovr
packages_deb := build-essential debhelper dpkg-dev fakeroot
packages_check_deb := lintian mmdebstrap jq
packages_lint := cppcheck shellcheck clang-format mandoc man-db sparse

comma := ,
MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all
all: $(BUILD)/filemon

$(BUILD)/filemon: $(objects)
	@echo "  LD      $@"
	$(Q)$(link) $(if $(static),-static) -o $@ $^ $(libs) $(LDLIBS)

$(BUILD)/%.o: %.c $(BUILD)/flags
	@echo "  CC      $<"
	@mkdir -p $(@D)
	$(Q)$(compile) -MMD -MP -c -o $@ $<

# Objects that were built with other flags (BPF=0, another CC) are built again.
.PHONY: force
$(BUILD)/flags: private flags = $(compile)
$(BUILD)/flags.bpf: private flags = $(compile_bpf)
$(BUILD)/flags $(BUILD)/flags.bpf: force
	@mkdir -p $(@D)
	@echo '$(flags)' | cmp -s - $@ || echo '$(flags)' > $@

# The names of errors, for src/compat.h.
$(BUILD)/errno.inc: $(BUILD)/flags
	$(Q)echo '#include <errno.h>' | $(compile) -E -dM -x c - | \
	    sed -n 's/^#define \(E[A-Z0-9]*\) \([0-9]*\)$$/case \2: return "\1";/p' > $@

# The script is assembled from its parts, and embedded in the program.
script := $(BUILD)/monitorFicheros.stp
$(script): stap/assemble.awk stap/monitorFicheros.stp $(wildcard stap/*.h) src/event/calls.h
	@echo "  STP     $@"
	@mkdir -p $(@D)
	$(Q)awk -f stap/assemble.awk stap/monitorFicheros.stp > $@

# In link-time optimization, the assembler has no include path.
embedded := $(BUILD)/src/engine/stap/script.o $(BUILD)/tests/cli/src/engine/stap/script.o
$(embedded): private compile += -fno-lto
$(embedded): $(script)

# ---- the eBPF program ----------------------------------------------------------------------------

# The machine in the compiler's target, as in x86_64-linux-gnu.  Before make deps there may be no compiler.
target := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine 2>/dev/null)) $(shell uname -m))
BPF_ARCH ?= $(patsubst x86_64,x86,$(patsubst aarch64,arm64,$(target)))

# v3: instructions of Linux 5.1.
compile_bpf = $(CLANG) -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_$(BPF_ARCH) $(prefix_map) -Isrc
bpf_tools = PATH=$$PATH:/usr/sbin

# The programs, once for each kind of kernel: with functions of 7.0 (LATEST), of 6.2 (DIRECT), and others.
bpf_objects := $(BUILD)/filemon-latest.bpf.o $(BUILD)/filemon-direct.bpf.o $(BUILD)/filemon.bpf.o
$(BUILD)/filemon-latest.bpf.o: way := -DLATEST=1 -DDIRECT=1
$(BUILD)/filemon-direct.bpf.o: way := -DLATEST=0 -DDIRECT=1
$(BUILD)/filemon.bpf.o: way := -DLATEST=0 -DDIRECT=0
$(bpf_objects): src/engine/bpf/filemon.bpf.c $(wildcard src/engine/bpf/*.h) src/event/calls.h src/event/fact.h $(BUILD)/flags.bpf
	@for tool in $(CLANG) $(BPFTOOL) $(LLVM_STRIP); do $(bpf_tools) command -v $$tool >/dev/null || { \
	    echo "no $$tool to build the bpf engine: apt-get install $(packages_bpf), or leave it out with make BPF=0" >&2; \
	    exit 1; }; done
	@echo "  BPF     $@"
	@mkdir -p $(@D)
	$(Q)$(compile_bpf) $(way) -c -o $@ $<
	$(Q)$(LLVM_STRIP) -g $@

$(BUILD)/%.skel.h: $(BUILD)/%.bpf.o
	$(Q)$(bpf_tools) $(BPFTOOL) gen skeleton $< name $(subst -,_,$*)_bpf > $@

bpf_skeletons := $(bpf_objects:.bpf.o=.skel.h)
$(filter $(BUILD)/src/engine/bpf/%,$(objects)): $(bpf_skeletons)

# For a test which builds the programs where there is another clang.
.PHONY: skeletons
skeletons: $(bpf_skeletons)

# ---- tests ---------------------------------------------------------------------------------------

# cmocka 2 deprecates assert_in_range() in favour of what cmocka 1 does not have.
cmocka = -Wno-deprecated-declarations -lcmocka

$(BUILD)/tests/test_%: tests/unit/test_%.c $(modules)
	@echo "  LD      $@"
	@mkdir -p $(@D)
	$(Q)$(link) -MMD -MP -o $@ $< $(modules) $(cmocka) -ljansson -lpthread -lrt -lutil $(libs) $(LDLIBS)

# These tests run the script's C in user space, see tests/unit/kernel/script.h.
$(filter $(BUILD)/tests/test_script_%,$(unit_tests)): private cppflags += -I.

# This test runs under ThreadSanitizer if the compiler has it and a program with it runs here: address
# space randomization of some kernels leaves no room for its memory.  It excludes other sanitizers.
has_tsan = $(shell mkdir -p $(BUILD)/tests && echo 'int main(void) { return 0; }' | \
    $(CC) -fsanitize=thread -x c -o $(BUILD)/tests/tsan - 2>/dev/null && \
    $(BUILD)/tests/tsan 2>/dev/null && echo yes)
$(BUILD)/tests/test_script_threads: private cflags += $(if $(SANITIZE),,$(if $(has_tsan),-fsanitize=thread))

# A filemon that reads the files of a system in ./root (see src/engine/stap/system.h), and waits for stap as many
# milliseconds as the environment tells.
cli_objects := $(objects:$(BUILD)/src/engine/stap/%=$(BUILD)/tests/cli/src/engine/stap/%)

$(BUILD)/tests/cli/%.o: cppflags += -DSYSTEM_ROOT='"root"' -DSTOP_MS='atoi(getenv("STOP_MS"))'
$(BUILD)/tests/cli/%.o: %.c
	@echo "  CC      $< (tests/cli)"
	@mkdir -p $(@D)
	$(Q)$(compile) -MMD -MP -c -o $@ $<

$(objects) $(cli_objects): | $(BUILD)/errno.inc

$(BUILD)/tests/cli/filemon: $(cli_objects)
	@echo "  LD      $@"
	$(Q)$(link) -o $@ $^ $(libs) $(LDLIBS)

$(BUILD)/tests/cli/standin: tests/cli/standin.c tests/helpers/tinymodule.h
	@echo "  LD      $@"
	@mkdir -p $(@D)
	$(Q)$(link) -o $@ $< $(LDLIBS)

$(BUILD)/tests/cli/%.so: tests/cli/%.c
	@echo "  LD      $@"
	@mkdir -p $(@D)
	$(Q)$(CC) -D_GNU_SOURCE -std=c11 -O2 -g $(warnings) -fPIC -shared -o $@ $< -ldl

.PHONY: cli
cli: $(BUILD)/filemon $(BUILD)/tests/openclose $(addprefix $(BUILD)/tests/cli/,filemon standin shortage.so oldkernel.so)

.PHONY: unit
unit: $(unit_tests)

# The workloads of the tests on a real kernel, and the program that judges filemon's output.
helpers := $(addprefix $(BUILD)/tests/,fdwork fdchaos fdbytes changes records)
# 32-bit programs make other system calls.
ifeq ($(target),x86_64)
helpers += $(addprefix $(BUILD)/tests/,fdchaos32 fdbytes32 changes32)
$(addprefix $(BUILD)/tests/,fdchaos32 fdbytes32 changes32): cflags += -m32
packages_32 := gcc-multilib libc6-dev-i386
else ifeq ($(target),aarch64)
CC32 ?= arm-linux-gnueabihf-gcc
ifneq ($(shell command -v $(CC32)),)
helpers += $(BUILD)/tests/fdchaos32
$(BUILD)/tests/fdchaos32: CC = $(CC32) -marm
endif
endif

# Static, since in an emulated machine dynamic linking takes most of the time of a short program.
$(BUILD)/tests/fdwork: libs = $(if $(SANITIZE),,-static) -lpthread
$(BUILD)/tests/fdwork: $(wildcard tests/helpers/fdwork.c tests/helpers/journal.[ch] tests/helpers/flags.[ch] tests/helpers/clock.h)
$(BUILD)/tests/records: libs = -ljansson
$(BUILD)/tests/records: $(wildcard tests/helpers/records*.[ch] tests/helpers/flags.[ch]) tests/helpers/chaos.h
# Static, since it must open nothing but what its journal says; so without sanitizers.
chaos := $(filter $(BUILD)/tests/fdchaos%,$(helpers))
bytes := $(filter $(BUILD)/tests/fdbytes%,$(helpers))
$(chaos) $(bytes): sanitize =
$(chaos) $(bytes): libs = -static -lpthread
$(bytes): tests/helpers/fdbytes.c
$(chaos): tests/helpers/fdchaos.c tests/helpers/chaos.h tests/helpers/clock.h
# Static, since another release need not have the libraries of 32-bit programs.
changes := $(filter $(BUILD)/tests/changes%,$(helpers))
$(changes): sanitize =
$(changes): libs = -static
$(changes): tests/helpers/changes.c
$(helpers):
	@echo "  LD      $@"
	@mkdir -p $(@D)
	$(Q)$(link) -o $@ $(filter %.c,$^) $(libs) $(LDLIBS)

.PHONY: helpers
helpers: $(helpers)

$(BUILD)/tests/openclose: tests/bench/openclose.c
	@echo "  LD      $@"
	@mkdir -p $(@D)
	$(Q)$(link) -o $@ $< $(LDLIBS)

# With SANITIZE, only the parts that run code of filemon built with sanitizers.
parts := unit cli $(if $(SANITIZE),,records jq trace docs builds lint runtime sparse verifier live chaos oracle vm)
packages := $(packages_build) $(packages_check) $(packages_32) $(if $(SANITIZE),,\
    $(packages_jq) $(packages_trace) $(packages_lint) $(packages_live) $(packages_vm))

# A second make builds, because installed packages change what can be built.
.PHONY: deps check check-unit check-kernels check-arm64 check-s390x check-clang bench demo
deps:
	@tests/packages $(packages)

check-unit: unit
	@BUILD=$(BUILD) tests/run unit

check: deps
	@$(MAKE) all unit cli helpers
	@BUILD=$(BUILD) tests/run $(parts)

# A static program runs in the root file system of any release.
check-kernels:
	@tests/packages $(packages_build) $(packages_32) $(packages_kernels)
	@$(MAKE) BUILD=$(BUILD)/static STATIC=1 all helpers
	@BUILD=$(BUILD)/static tests/run kernels

# In a root file system that has the compiler and libraries for another machine, a command is run in this directory, the
# only one of this system's that it sees.
build_within = $(if $(filter /%,$(BUILD)),$(error BUILD=$(BUILD): a relative path is needed),$(BUILD))
within_cross = env -u MAKEFLAGS -u MAKELEVEL tests/vm/within "$$(tests/vm/root cross-$(1))" .

check-arm64:
	@tests/packages $(packages_arm64)
	@$(call within_cross,arm64) make CROSS_COMPILE=aarch64-linux-gnu- BUILD=$(build_within)/arm64 \
	    STATIC=1 LDFLAGS=-static all helpers
	@KERNELS=trixie-arm64 BUILD=$(build_within)/arm64 tests/run kernels

check-clang:
	@tests/packages $(packages_build) $(packages_kernels)
	@tests/run clangs

# Programs for s390x, which is big-endian, run through qemu-user.
check-s390x:
	@tests/packages $(packages_s390x)
	@$(call within_cross,s390x) make CC=s390x-linux-gnu-gcc BUILD=$(build_within)/s390x BPF=0 unit
	@tests/vm/foreign s390x $(call within_cross,s390x) \
	    env BUILD=$(build_within)/s390x BPF=0 EMULATED=1 LOCPATH=/s390x/usr/lib/locale tests/run unit

bench:
	@tests/packages $(packages_build) $(packages_vm) $(packages_bench)
	@$(MAKE) all $(BUILD)/tests/openclose
	@BUILD=$(BUILD) tests/bench/run native
	@BUILD=$(BUILD) tests/bench/run guest
	@BUILD=$(BUILD) tests/bench/run icount

demo:
	@tests/packages $(packages_build)
	@$(MAKE) all
	@BUILD=$(BUILD) tests/vm/demo $(packages_vm)

# Each fuzzer is linked with all modules, which are compiled with libFuzzer's coverage counters.
fuzzers := $(patsubst tests/fuzz/%.c,$(BUILD)/tests/%,$(wildcard tests/fuzz/fuzz_*.c))
$(fuzzers): $(BUILD)/tests/%: tests/fuzz/%.c $(modules)
	@echo "  LD      $@"
	@mkdir -p $(@D)
	$(Q)$(link) -fsanitize=fuzzer -MMD -MP -o $@ $< $(modules) $(libs) $(LDLIBS)

FUZZ_SECONDS ?= 60
.PHONY: fuzz fuzzers
fuzzers: $(fuzzers)
fuzz:
	@tests/packages $(packages_build) $(packages_fuzz)
	@$(MAKE) BUILD=build/fuzz CC=clang BPF=0 SANITIZE=fuzzer-no-link,address,undefined fuzzers
	@BUILD=build/fuzz FUZZ_SECONDS=$(FUZZ_SECONDS) tests/run fuzz

.PHONY: coverage
coverage:
	@tests/packages $(packages_build) $(packages_check) $(packages_coverage)
	@$(MAKE) BUILD=build/coverage CFLAGS='-O0 -g --coverage -fprofile-update=atomic' unit cli
	@find build/coverage -name '*.gcda' -delete
	@BUILD=build/coverage GCOV_ERROR_FILE=/dev/null tests/run unit cli
	@gcovr --root . --object-directory build/coverage --filter src/ --filter stap/ --sort-uncovered \
	    --print-summary --html-details build/coverage/index.html

SEEDS ?= 10000
FROM ?= 1
.PHONY: soak
soak: all helpers
	@tests/live/chaos bpf $(BUILD)/filemon $(BUILD)/tests $(FROM) $$(($(FROM) + $(SEEDS) - 1))

.PHONY: lint format
lint:
	@tests/lint

format:
	clang-format -i $$(find src stap tests -name '*.[ch]')

# ---- installing ----------------------------------------------------------------------------------

documents := $(wildcard src/share/doc/*)
jq_programs := $(wildcard src/share/jq/*.jq)
units := $(notdir $(wildcard src/share/systemd/*.service))
.PHONY: install uninstall
install: all
	install -D -m 755 $(BUILD)/filemon $(DESTDIR)$(BINDIR)/filemon
	install -D -m 644 man/filemon.8 $(DESTDIR)$(MANDIR)/man8/filemon.8
	install -D -m 644 man/filemon-fleet.7 $(DESTDIR)$(MANDIR)/man7/filemon-fleet.7
	install -D -m 644 $(script) $(DESTDIR)$(DATADIR)/monitorFicheros.stp
	for file in $(notdir $(jq_programs)); do \
	    install -D -m 644 src/share/jq/$$file $(DESTDIR)$(DATADIR)/$$file || exit; done
	install -D -m 644 src/share/completion/filemon.bash $(DESTDIR)$(BASHDIR)/filemon
	install -D -m 644 src/share/completion/_filemon $(DESTDIR)$(ZSHDIR)/_filemon
	install -D -m 755 src/share/jq/write-metrics $(DESTDIR)$(DATADIR)/write-metrics
	for file in $(units); do \
	    install -D -m 644 src/share/systemd/$$file $(DESTDIR)$(UNITDIR)/$$file || exit; done
	for file in $(notdir $(documents)); do \
	    install -D -m 644 src/share/doc/$$file $(DESTDIR)$(DOCDIR)/$$file || exit; done
	sed -i 's#@BINDIR@#$(BINDIR)#; s#@DATADIR@#$(DATADIR)#' $(addprefix $(DESTDIR)$(UNITDIR)/,$(units))

uninstall:
	rm -f $(DESTDIR)$(BINDIR)/filemon
	rm -f $(DESTDIR)$(MANDIR)/man8/filemon.8 $(DESTDIR)$(MANDIR)/man7/filemon-fleet.7
	rm -f $(DESTDIR)$(BASHDIR)/filemon $(DESTDIR)$(ZSHDIR)/_filemon
	rm -f $(addprefix $(DESTDIR)$(UNITDIR)/,$(units))
	rm -f $(addprefix $(DESTDIR)$(DATADIR)/,monitorFicheros.stp write-metrics $(notdir $(jq_programs)))
	rm -f $(addprefix $(DESTDIR)$(DOCDIR)/,$(notdir $(documents)))
	for dir in $(DESTDIR)$(DATADIR) $(DESTDIR)$(DOCDIR); do \
	    [ ! -d $$dir ] || rmdir --ignore-fail-on-non-empty $$dir; done

version := $(shell sed -n 's/^\#define FILEMON_VERSION "\(.*\)"/\1/p' src/options.h)
tarball := $(BUILD)/filemon-$(version).tar.gz
# Without .git this is such a tarball, unpacked.
.PHONY: dist
dist:
	@mkdir -p $(BUILD)
	@if [ -e .git ]; then git archive --prefix=filemon-$(version)/ -o $(tarball) HEAD; \
	    else tar -czf $(tarball) --exclude=./build --transform='s,^\.,filemon-$(version),' .; fi

DEB_HOST ?=
deb := $(BUILD)/deb
.PHONY: deb check-deb
deb: dist
	@tests/packages $(packages_build) $(packages_deb) libcmocka-dev libjansson-dev
	rm -rf $(deb)
	mkdir -p $(deb)
	cp $(tarball) $(deb)/filemon_$(version).orig.tar.gz
	tar -xzf $(tarball) -C $(deb)
	cp -R $(deb)/filemon-$(version)/src/share/debian $(deb)/filemon-$(version)/debian
	cd $(deb)/filemon-$(version) && env -u MAKEFLAGS -u MAKELEVEL -u CI \
	    $(if $(DEB_HOST),DEB_BUILD_OPTIONS="nocheck $$DEB_BUILD_OPTIONS") \
	    dpkg-buildpackage -us -uc $(if $(DEB_HOST),-a$(DEB_HOST) -Pcross$(comma)nocheck)

check-deb: deb
	@tests/packages $(packages_check_deb)
	@BUILD=$(BUILD) tests/run deb

.PHONY: clean
clean:
	rm -rf build

-include $(objects:.o=.d) $(cli_objects:.o=.d) $(unit_tests:=.d) $(fuzzers:=.d)
