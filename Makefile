# The daily commands. Build output goes where CARGO_TARGET_DIR says, else into ./target.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
PYTHON ?= python3
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
DATALAKE := $(TARGET)/release/datalake
VENV ?= $(TARGET)/venv

.PHONY: help build static demo test test-rust test-python test-cluster lint bench bench-forest bench-convert soak wheel clean

help: ## lists the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 14

build: ## builds the command line tool
	$(CARGO) build --release --locked -p datalake-cli

static: ## builds it as one static binary, against musl
	@tests/static.sh release

demo: build ## builds, then runs the Food Calorie Analysis in ./lake
	"$(DATALAKE)" ml-pipeline

test: lint test-rust test-python ## everything that has a test

# Unit tests want the whole crate compiled once more, which at full optimisation takes longer than they do.
SOONER := profile.release.package.datalake-core

# Tests with cases by chance have the same ones each time; the long tests have others.
test-rust: export PROPTEST_RNG_SEED ?= 20261128
test-rust:
	$(CARGO) test --release --locked -p datalake-core --lib --features k8s \
	  --config '$(SOONER).opt-level=1' --config '$(SOONER).codegen-units=16'
	$(CARGO) test --release --locked --bins --examples --test '*'
	$(CARGO) test --release --locked --doc
	tests/outside.sh

test-python: wheel
	tests/python.sh

test-cluster: wheel ## the tests on a real Kubernetes with a node, which needs root
	tests/cluster.sh

lint:
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml --check
	$(CARGO) clippy --release --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --release --locked -p datalake-core --no-default-features -- -D warnings
	$(CARGO) clippy --release --locked -p datalake-core --no-default-features --features ml,testing -- -D warnings
	tests/lint.sh

bench: ## runs the benchmarks
	$(CARGO) bench --locked -p datalake-benches

bench-forest: wheel ## the forest beside its peers, in an environment of its own; takes hours
	benches/forest/run.sh

bench-convert: ## conversions beside the peers, in an environment of its own
	benches/convert/run.sh

soak: ## the long tests: kills, twenty times the cases, fuzzing, AArch64, AddressSanitizer, thousands of trees beside scikit-learn's
	tests/aarch64.sh
	tests/sanitize.sh
	tests/fuzz.sh 300 model_file model_body
	tests/fuzz.sh 3600 csv json parquet dialect
	tests/newest-api.sh
	DATALAKE_SOAK=1 $(CARGO) test --release --locked --test it kill -- --nocapture
	DATALAKE_SOAK=1 $(CARGO) test --release --locked -p datalake-core --test convert_memory
	DATALAKE_SIMD=scalar $(CARGO) test --release --locked -p datalake-core --lib --features k8s format::
	PROPTEST_CASES=5000 $(CARGO) test --release --locked
	$(MAKE) wheel
	DATALAKE_SOAK=1 tests/cluster.sh
	DATALAKE_SOAK=1 tests/python.sh -k against_sklearn

wheel: ## builds the Python wheel into ./dist
	tests/wheel.sh

clean: ## removes what the build made, never a lake
	$(CARGO) clean
	rm -rf dist
