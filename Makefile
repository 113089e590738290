# Each line here runs a tool that you could run yourself. `make help` says what there is.
.DEFAULT_GOAL := help
.PHONY: help demo kv-c kv-go lib install uninstall abi test check conformance scenario sim soak \
	soak-services explore fuzz sanitize mutants mutants-all coverage picture bench bench-check \
	bench-baseline flames header reference docs install-deps clean

KV_C := target/kv-c/kv-c
KV_GO := target/kv-go/kv-go
export PYTHONDONTWRITEBYTECODE := 1
export PREFIX LIBDIR MANDIR DESTDIR

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

demo: kv-c kv-go ## a cluster in C, Go and Python lives through kills and more; KEEP=1 leaves it up
	tools/python-env
	python3 examples/demo/demo.py --plot target/demo/demo.svg --binary $(KV_C) --binary $(KV_GO) \
		--binary "target/python-env/bin/python examples/kv-python/main.py" $(if $(KEEP),--keep)

kv-c: ## build the key-value service in C, as target/kv-c/kv-c
	tools/setup demo
	cargo build --release --locked -p raftcore-ffi
	@rm -f $(KV_C) # the library may be new: link again
	$(MAKE) --silent -C examples/kv-c BUILD=../../target/kv-c RAFTCORE_CFLAGS=-I../../include \
		RAFTCORE_LIBS="../../target/release/libraftcore.a -lpthread -ldl -lm"

kv-go: lib ## build the key-value service in Go, as target/kv-go/kv-go
	PREFIX=$(CURDIR)/target/go/prefix tools/install
	eval "$$(bindings/go/run env)" && cd examples/kv-go && go vet ./... && \
		go build -tags raftcore_static -o $(CURDIR)/$(KV_GO) .

lib: ## build the C library, shared and static, in target/release
	cargo build --release --locked -p raftcore-ffi
	tools/localise target/release/libraftcore.a target/release/libraftcore-local.a
	tools/reference target/release/man

install: lib ## install the C library: PREFIX=/usr/local LIBDIR=PREFIX/lib DESTDIR=
	tools/install

uninstall: ## remove what install put there: the same variables
	tools/install --uninstall

test: ## everything that must pass before a change lands; PART=name runs one part
	tools/setup test
	tools/test.py $(PART)

check: ## format, lints and tidy: under a minute
	cargo fmt --all --check
	cargo fmt --all --check --manifest-path benches/Cargo.toml
	cargo clippy --workspace --all-targets --locked --quiet -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --quiet --no-deps -p raftcore -p raftcore-blocks -p raft-sim
	python3 tools/test_tidy.py
	tools/tidy.py

conformance: ## play the scenarios of etcd's raft and our own; DIR=folder plays others
	cargo run --locked --quiet -p raft-sim --bin conformance -- $(DIR)

scenario: ## play one scenario: F=file; REWRITE=1 accepts what comes out of our own
	cargo run --locked --quiet -p raft-sim --bin conformance -- $(F)

sim: ## search for a broken rule in random groups: SEED=N replays one, SECONDS=S (60)
	cargo run --release --locked --quiet -p raft-sim --bin sim -- \
		$(if $(SEED),--seed $(SEED),--seconds $(or $(SECONDS),60) --jobs 0 --summary)

soak: ## as sim, on all cores, past failures and with a summary: MINUTES=M (120)
	cargo run --release --locked --quiet -p raft-sim --bin sim -- --jobs 0 --keep-going \
		--summary --seconds $$((60 * $(or $(MINUTES),120)))

soak-services: kv-c kv-go ## torment mixed clusters of the services: MINUTES=M (60)
	tools/python-env
	tests/linearizability/run -for $(or $(MINUTES),60)m

explore: ## visit every state of a small group; ARGS="--terms 2 --crashes 1" makes it another
	cargo run --release --locked --quiet -p raft-sim --bin explore -- \
		$(or $(ARGS),--terms 2 --proposals 2)

fuzz: ## fuzz each target: SECONDS=S (60)
	fuzz/run $(or $(SECONDS),60)

sanitize: ## the tests of core and C library under ASan, LSan, UBSan, TSan: PART=rust, c or threads
	tests/sanitize/run $(PART)

mutants: ## plant known mistakes and show which test finds each: ONLY=12, SIM=1
	tests/mutants/run $(ONLY) $(if $(SIM),--sim)

mutants-all: ## every small change that cargo-mutants thinks of: ROOM=progress (an hour without)
	tests/mutants/all $(ROOM)

coverage: ## which lines of raft-core the tests run; fails below 95 %: LINES=1 names the others
	tools/setup coverage
	tools/coverage $(if $(LINES),--lines)

bench: ## side by side with the peers, under 20 minutes when idle; WORKLOAD=W1 runs one
	tools/setup bench
	benches/venv
	target/bench/venv/bin/python benches/bench.py $(WORKLOAD)

bench-check: ## instructions per entry, read and tick against the committed baseline, within 3 %
	benches/instructions.py

bench-baseline: ## write what bench-check compares with: commit it with the reason
	benches/instructions.py --write

flames: ## where the time goes, as flame graphs in docs/src/flames; needs perf
	benches/flames

abi: lib ## what programs were compiled against: ACCEPT=1 takes in an addition
	tests/abi/run $(if $(ACCEPT),--accept)

picture: demo ## the guide's pictures of the demo and of the page, in four minutes
	tests/page/run picture
	cp target/demo/demo.svg docs/src/demo.svg

header: ## write include/raftcore.h from the sources of raft-ffi
	cargo run --locked --quiet -p raftcore-header

reference: ## the manual pages of raftcore.h, in target/release/man
	tools/reference target/release/man

docs: ## build the guide into docs/book
	tools/mdbook build docs

install-deps: ## look for what demo and test need; apt-get installs what is missing
	tools/setup test

clean: ## remove what was built
	cargo clean
	rm -rf docs/book
