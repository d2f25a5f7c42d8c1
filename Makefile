# make, or make help, lists what there is to do. A machine that has Go can run, test and talk to the system; what else
# make check needs it fetches into .tools (Python 3.11, Java 17, Maven and a C compiler have to be there).

GOLANGCI_LINT_VERSION := v2.15.0

TOOLS         := .tools
GOLANGCI_LINT := $(TOOLS)/golangci-lint/$(GOLANGCI_LINT_VERSION)/golangci-lint
SAM_CLI       := $(TOOLS)/sam-cli/bin
AWS_CLI       := $(TOOLS)/aws-cli/bin
PYTHON_CLIENT := $(TOOLS)/python-socketio/bin
CHROMIUM      ?= /usr/bin/chromium

# Folders with packages of npm's. It writes the file last: without it an installation was cut short.
NODE      := infra/e2e/socketio infra/e2e/console infra/tools/parser infra/contract/check infra/readme infra/bench/node infra/bench/poster/node
PACKAGES  := node_modules/.package-lock.json
AWS_CLI_2 := infra/readme/node_modules/.aws-cli-v2

# Not the program: the path in its first line is no longer right when the repository has moved.
SAM := $(SAM_CLI)/python -m samcli

WITH_DYNAMODB_LOCAL := go run ./infra/local/dynamodblocal/with

SEEDS    ?= 1000
SEED     ?= 1
FUZZTIME ?= 30s

export SAM_CLI_TELEMETRY := 0
export AWS_DEFAULT_REGION ?= us-east-1

# given NAME: its value if it was given as an argument of make. USER, for one, is in the environment of most shells, and a
# token for whoever is logged in is not what `make token` should print.
given = $(if $(findstring command line,$(origin $1)),$($1))
# quote TEXT: one word for the shell.
quote = '$(subst ','\'',$1)'
# need NAME,USAGE: ends make unless NAME was given.
need = $(if $(call given,$1),,$(error usage: make $2))
# shape NAME,PATTERN,WANTED: ends a recipe unless the value of NAME is what the pattern of grep -E says.
shape = @printf '%s\n' $(call quote,$($1)) | grep -Eqx $(call quote,$2) || \
	{ printf '%s\n' $(call quote,$1: "$($1)" is no $3) >&2; exit 2; }

.DEFAULT_GOAL := help
.PHONY: help run token client publish participants test sim fuzz check lint race signatures dynamodb sam samples sam-e2e sam-invoke need-chromium socketio console screenshots contract contract-check readme bench bench-plan bill sizes build .build/sam tools clean

help: ## List what there is to do
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The program of the local stack. It takes the place of its shell, so that a signal to make reaches it.
LOCAL = $(if $(wildcard .build/stack),,echo "compiling; the first time this takes a minute or two ..." >&2 &&) \
	go build -o .build/stack ./infra/local && exec .build/stack

run: ## The whole system on this machine
	@$(LOCAL)

token: ## Print a token: USER=alice [TTL=1h]
	$(call need,USER,token USER=alice [TTL=1h])
	@$(LOCAL) token -user $(call quote,$(USER)) $(if $(call given,TTL),-ttl $(call quote,$(TTL)))

client: ## A client in the terminal: USER=alice [URL=wss://...]
	$(call need,USER,client USER=alice [URL=wss://...])
	@$(LOCAL) client -user $(call quote,$(USER)) $(if $(call given,URL),-url $(call quote,$(URL)))

participants: ## Say who takes part in a conversation: CONVERSATION=c1 USERS=alice,bob
	$(call need,CONVERSATION,participants CONVERSATION=c1 USERS=alice$(comma)bob)
	$(call need,USERS,participants CONVERSATION=c1 USERS=alice$(comma)bob)
	@$(LOCAL) participants -conversation $(call quote,$(CONVERSATION)) -users $(call quote,$(USERS))

publish: ## Send an event as a backend does: FILE=events/publish/messages-new.json
	$(call need,FILE,publish FILE=events/publish/messages-new.json)
	@$(LOCAL) publish -file $(call quote,$(FILE))

comma := ,

test: ## Vet and test; needs Go only
	go vet ./...
	go test -shuffle=on -count=1 ./...

sim: ## Play the rules against faults, from SEEDS=1000 seeds; SEEDS=1 SEED=17 replays one
	$(call shape,SEEDS,[1-9][0-9]{0$(comma)8},number of seeds: give a whole one from 1)
	$(call shape,SEED,[0-9]{1$(comma)18},seed: give a whole number from 0)
	go test -v -count=1 -timeout 2h -run '^TestPromises' ./infra/sim -args -seeds $(SEEDS) -seed $(SEED)

fuzz: ## Every fuzz target for FUZZTIME=30s
	$(call shape,FUZZTIME,([1-9][0-9]*(ms|[smh]))+|[1-9][0-9]*x,duration: give one as 30s or 5m$(comma) or a number of inputs as 1000x)
	@grep -roE --include='*_test.go' '^func Fuzz[A-Za-z]+' shared infra | sed 's/:func / /' | while read -r file target; do \
		echo "$$target in $$(dirname $$file)"; \
		go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(call quote,$(FUZZTIME)) ./$$(dirname $$file) || exit 1; \
	done

check: ## Everything that CI checks after make test
	@infra/tools/steps lint signatures sam sizes samples sam-e2e dynamodb race socketio console contract-check readme

lint: $(GOLANGCI_LINT) ## golangci-lint, import rules included
	$(GOLANGCI_LINT) run

# Not of the tests that have other programs do the work, which make test has run: the detector would not look into those. Nor of
# those that break a rule and look for a seed that finds it: the same code runs with every rule kept.
race: ## The tests with the race detector
	go test -race -short -skip '^TestBroken.*Found$$' -shuffle=on -count=1 $$(go list ./... | grep -vE '/infra/(readme|bench|bench/bill|bench/coldstart)$$')

signatures: $(SAM_CLI) ## Posts are signed as botocore signs them
	@mkdir -p .build
	$(SAM_CLI)/python infra/tools/signatures.py | diff - shared/push/testdata/signatures.jsonl
	$(SAM_CLI)/python infra/tools/signatures.py 2000 1 > .build/signatures.jsonl
	SIGNATURES=$(call quote,$(abspath .build/signatures.jsonl)) go test -count=1 -run '^TestSignaturesAreBotocores$$' ./shared/push

dynamodb: ## Store suite and table comparison on DynamoDB Local
	$(WITH_DYNAMODB_LOCAL) go test -shuffle=on -count=1 ./shared/store/... ./infra/local/table/...

sam: $(SAM_CLI) ## Validate and transform the template, build the functions as for a deployment
	$(SAM) validate --lint
	$(SAM_CLI)/python $(SAM_CLI)/cfn-lint template.yaml
	$(SAM_CLI)/python infra/tools/transform.py
	$(SAM) build

samples: $(AWS_CLI) .build/sam ## Functions answer the samples of events/ behind SAM CLI's Invoke service
	$(WITH_DYNAMODB_LOCAL) $(SAM_CLI)/python infra/tools/samples.py

# The way of a client and its events. The service is slow, and the other tests are about what it has no part in.
sam-e2e: .build/sam ## End-to-end tests of the functions behind SAM CLI's Invoke service, on DynamoDB Local
	SAM_CLI_PYTHON=$(call quote,$(abspath $(SAM_CLI)/python)) $(WITH_DYNAMODB_LOCAL) \
		go test -count=1 -run '^(TestFlow|TestAcks)$$' ./infra/e2e

sam-invoke: .build/sam ## SAM CLI's Invoke service without Docker, for LAMBDA_ENDPOINT=http://127.0.0.1:3003 make run
	@$(SAM_CLI)/python infra/tools/sam_invoke.py

need-chromium:
	@test -f $(call quote,$(CHROMIUM)) -a -x $(call quote,$(CHROMIUM)) || \
		{ printf '%s\n' $(call quote,CHROMIUM: $(CHROMIUM) is no program: install Chromium (apt-get install chromium)$(comma) or give the path of one) >&2; exit 2; }

# A hundred thousand packets are enough to meet every difference that the test lists; the checked-in ones are a sample.
socketio: need-chromium $(PYTHON_CLIENT) infra/e2e/socketio/$(PACKAGES) infra/tools/parser/$(PACKAGES) ## The stock clients end to end, the packets against the reference parser
	@mkdir -p .build
	node infra/tools/parser/corpus.js | diff - shared/wire/testdata/socketio.jsonl
	node infra/tools/parser/corpus.js 100000 1 > .build/socketio.jsonl
	SOCKET_IO_CORPUS=$(call quote,$(abspath .build/socketio.jsonl)) go test -count=1 ./shared/wire
	SOCKETIO_CLIENTS=1 CHROMIUM=$(call quote,$(CHROMIUM)) PYTHON_SOCKETIO=$(call quote,$(abspath $(PYTHON_CLIENT)/python)) go test -count=1 -parallel 4 ./infra/e2e/socketio

console: need-chromium infra/e2e/console/$(PACKAGES) ## The console in Chromium: every view and action, and what it costs beside many events
	CONSOLE=1 CHROMIUM=$(call quote,$(CHROMIUM)) go test -count=1 -timeout 30m ./infra/e2e/console

# Of every view; those that this repository has are taken anew.
SCREENSHOTS := infra/local/console/screenshots
screenshots: need-chromium infra/e2e/console/$(PACKAGES) ## The README's pictures of the console, from the test that makes them
	CONSOLE=1 CHROMIUM=$(call quote,$(CHROMIUM)) CONSOLE_SCREENSHOTS=$(call quote,$(abspath .build/screenshots)) go test -count=1 -timeout 30m -run '^TestConsole$$' ./infra/e2e/console
	for picture in $(notdir $(wildcard $(SCREENSHOTS)/*.png)); do cp .build/screenshots/$$picture $(SCREENSHOTS)/; done

contract: ## Write events/contract (JSON Schema, AsyncAPI, TypeScript) from shared/contract
	go run ./infra/contract

# The newest compiler, and the oldest that the README promises.
contract-check: infra/contract/check/$(PACKAGES) ## events/contract in the hands of tsc, Ajv and AsyncAPI's parser
	cd infra/contract/check && for version in typescript typescript-5.0; do node node_modules/$$version/bin/tsc -p . || exit 1; done
	cd infra/contract/check && node schemas.js && node asyncapi.js

$(NODE:%=%/$(PACKAGES)): %/$(PACKAGES): %/package-lock.json
	@echo "packages of $*: half a minute to fetch"
	npm ci --loglevel=error --no-audit --no-fund --prefix $*
	@touch $@

readme: $(AWS_CLI) .build/sam $(AWS_CLI_2) ## Do what README.md says, with every tool that it speaks of
	README_TOOLS=1 go test -count=1 -timeout 30m ./infra/readme

# The AWS CLI 2 comes from AWS as a package of npm's, in a zip file without the right to execute.
$(AWS_CLI_2): infra/readme/$(PACKAGES)
	rm -rf $@ $@.partial
	python3 -m zipfile -e $(@D)/@aws-cdk/asset-awscli-v2/lib/layer.zip $@.partial
	chmod +x $@.partial/awscli/v2/2.*/dist/aws
	mv $@.partial $@
	@touch $@

# For this machine, and always: sam build knows itself what to do.
.build/sam: $(SAM_CLI)
	LAMBDA_GOARCH=$$(go env GOARCH) $(SAM) build --build-dir $@

bench: bench-plan infra/bench/node/$(PACKAGES) infra/bench/poster/node/$(PACKAGES) ## Measure speed and memory on this machine: [PART=poster,rooms]
	go run ./infra/bench $(if $(call given,PART),-part $(call quote,$(PART)))

# Says what comes, or that it cannot be, before anything is fetched.
bench-plan:
	@go run ./infra/bench -plan $(if $(call given,PART),-part $(call quote,$(PART)))

bill: ## Measure what the standard scenarios cost in AWS, and put it into README.md
	go run ./infra/bench/bill -measure -write

sizes: ## The functions as deployed are no larger than they may be
	go run ./infra/bench/coldstart -sizes

build: $(SAM_CLI) ## The functions as sam deploy takes them
	$(SAM) build

tools: $(GOLANGCI_LINT) $(SAM_CLI) $(AWS_CLI) ## Fetch what make check needs into .tools
	$(WITH_DYNAMODB_LOCAL) true

$(GOLANGCI_LINT):
	@echo "golangci-lint $(GOLANGCI_LINT_VERSION): two minutes to build"
	GOBIN=$(call quote,$(abspath $(@D))) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)

# One that was cut short has left its mark, and is made again.
.PHONY: $(patsubst %.partial,%/bin,$(wildcard $(TOOLS)/*.partial))
$(SAM_CLI) $(AWS_CLI) $(PYTHON_CLIENT): $(TOOLS)/%/bin: infra/tools/%.txt
	@echo "$*: half a minute to fetch"
	@mkdir -p $(TOOLS)
	@touch $(@D).partial
	rm -rf $(@D)
	python3 -m venv $(@D)
	$@/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@
	@rm $(@D).partial

clean: ## Remove what was built and fetched
	rm -rf .build .aws-sam $(TOOLS) $(NODE:%=%/node_modules)

# sam build calls build-<logical id>: JoinFunction is functions/join. LAMBDA_GOARCH is for running the result on this
# machine; the template says arm64. FUNCTIONS is the folder of its folder.
LAMBDA_GOARCH ?= arm64
FUNCTIONS     ?= functions
build-%Function:
	CGO_ENABLED=0 GOOS=linux GOARCH=$(LAMBDA_GOARCH) go build -tags lambda.norpc -trimpath -buildvcs=false -ldflags '-s -w -buildid=' \
		-o $(call quote,$(ARTIFACTS_DIR)/bootstrap) ./$(FUNCTIONS)/$(shell echo $* | tr A-Z a-z)
