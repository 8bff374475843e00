# Halo: the two commands are `make run` and `make test`. Meson and ninja do the work beneath.

BUILD ?= build
FILE ?= $(BUILD)/src/halo
HALO = $(BUILD)/src/halo

.PHONY: all run test clean deps deps-test format check-format test-qemu

all: $(BUILD)/build.ninja
	@log=$$(ninja -C $(BUILD) 2>&1) || { printf '%s\n' "$$log"; exit 1; }

# Stream a real file through a guest that computes its SHA-256 digest: make run FILE=/some/file
run: deps all
	@$(HALO) run --stats --input '$(FILE)' $(BUILD)/examples/sha256.halo '$(FILE)'

# Everything that decides whether Halo works; .ci/run calls this.
test: deps-test
	@tests/run

# The KVM tests inside QEMU's emulated machine, on Debian's own kernel.
test-qemu: deps-test all
	@tests/qemu/run $(BUILD)

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
