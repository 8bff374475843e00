# Halo: the two commands are `make run` and `make test`. Meson and ninja do the work beneath.

BUILD ?= build
HALO = $(BUILD)/src/halo

.PHONY: all run test verify soak fuzz stress peers bench bench-linux bench-neighbours bench-compare bench-count build-bench clean deps deps-test \
	test-qemu format install uninstall configure-prefix deb

all: $(BUILD)/build.ninja
	@log=$$(ninja -C $(BUILD) 2>&1) || { printf '%s\n' "$$log"; exit 1; }

# Stream a file through a guest that computes its SHA-256 digest: make run FILE=/some/file. Without
# one it is the largest file that this build has needed: the compiler.
export FILE
run: deps all
	@file=$${FILE:-$$(gcc -print-prog-name=cc1)} && \
	$(HALO) run --stats --input "$$file" $(BUILD)/examples/sha256.halo "$$file"

# Install what is built: make install prefix=$HOME/.local, or DESTDIR=/some/root. Nothing that is
# installed knows the prefix: a copy of it may be moved as a whole.
prefix ?= /usr/local
libdir ?= lib
install: configure-prefix all
	@meson install -C $(BUILD) --no-rebuild --quiet $(if $(DESTDIR),--destdir "$(DESTDIR)")
	@[ -n "$(DESTDIR)" ] || [ "$$(id -u)" -ne 0 ] || ldconfig

uninstall: configure-prefix
	@tools/uninstall $(BUILD) "$(DESTDIR)"

configure-prefix: $(BUILD)/build.ninja
	@meson configure $(BUILD) -Dprefix="$(prefix)" -Dlibdir="$(libdir)" -Dpkgconfig.relocatable=true

# Debian packages, in BUILD/deb.
deb: deps
	@tools/deps package
	@tools/deb $(BUILD)/deb

# Everything that decides whether Halo works, in up to half an hour; .ci/run calls this.
test: deps-test
	@tests/run

# All that is known of the ring's correctness: proofs, coverage, mutants and peers too; up to three hours.
verify: deps-test
	@tools/deps verify peers
	@tests/run --all

# What takes hours: every mutant, and an hour of each target of tests/fuzz and of each backend.
soak: deps-test all
	@python3 tests/mutation/mutate.py
	@tests/fuzz/run 3600
	@tests/stress/run $(BUILD) 3600

# Look for inputs that break the ring, SECONDS for each of the targets of tests/fuzz.
SECONDS ?= 60
fuzz: deps-test
	@tests/fuzz/run $(SECONDS)

# Guests and hosts on threads of their own, in a hurry and asleep, SECONDS on each backend.
stress: deps-test all
	@tests/stress/run $(BUILD) $(SECONDS)

# Linux's packed driver, built from Debian's kernel source, drives Halo's device.
peers: deps all
	@tools/deps peers
	@tests/peers/linux $(BUILD)

# How fast Halo is, beside its neighbours: a table, build/bench.json, and pictures of it in
# build/bench.svg. PATTERN=ring takes the rows whose names begin so. Neighbours that are packages are
# installed; where that cannot be, the run says which are absent. BASE=COMMIT measures that commit's rows
# and these in turns instead.
bench: deps bench-neighbours build-bench
ifdef BASE
	@bench/base $(BUILD) $(BASE) $(PATTERN)
else
	@$(BUILD)/bench/halo-bench --json $(BUILD)/bench.json \
		$(if $(COMMIT),--commit $(COMMIT)) $(PATTERN)
	@bench/plot $(BUILD)/bench.json $(BUILD)/bench.svg
endif

COMMIT = $(shell git describe --always --dirty 2>/dev/null)

# Programs of Linux's beside Linux, qemu-user and runsc: a table.
bench-linux: deps bench-neighbours all
	@bench/programs/run $(BUILD) 7 $(PATTERN)

bench-neighbours:
	@tools/deps neighbours >/dev/null 2>&1 || true

# Two runs, row by row, with what is noise: make bench-compare A.json B.json
runs = $(if $(filter bench-compare,$(MAKECMDGOALS)),$(filter %.json,$(MAKECMDGOALS)))
bench-compare:
	@bench/compare $(runs)

.PHONY: $(sort $(runs))
$(sort $(runs)):
	@:

# Instructions for each operation, which repeat where times do not. With clang:
# CC=clang make bench-count BUILD=build-clang
bench-count: deps-test build-bench
	@bench/count $(BUILD)

build-bench: $(BUILD)/build.ninja
	@log=$$(meson setup --reconfigure $(BUILD) && ninja -C $(BUILD) all bench/halo-bench && \
		bench/linux_build $(BUILD)) || { printf '%s\n' "$$log"; exit 1; }

# The KVM tests inside QEMU's emulated machine, on Debian's own kernel.
test-qemu: all
	@tools/deps build qemu
	@tests/qemu/run $(BUILD)
	@tests/qemu/run $(BUILD) libc
	@tests/qemu/run $(BUILD) calls

deps:
	@tools/deps build

deps-test:
	@tools/deps build test

$(BUILD)/build.ninja:
	@meson setup $(BUILD) >/dev/null

format:
	@git ls-files '*.c' '*.h' | xargs clang-format -i

clean:
	rm -rf build build-*
