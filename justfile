# Recipes; run them as `./dev <recipe>`, which makes the tools first.
set shell := ["bash", "-euo", "pipefail", "-c"]
set positional-arguments

# List the recipes
default:
    @just --list --unsorted

# Run every service and the coordinator on this machine until Ctrl-C
dev *ARGS:
    @python -m coordinator.cli.main dev "$@"

# Walk one competition from its creation to paid winners
demo *ARGS:
    @python -m coordinator.cli.main demo "$@"

# Set up only: packages and frontend are there when this prints its line; `build --wheel` makes dist/*.whl of them
build *ARGS:
    @[ "${1:-}" != --wheel ] || python -m pip --disable-pip-version-check wheel . --quiet --no-index --no-deps --no-build-isolation --wheel-dir dist
    @echo "ready: Python packages in .venv, frontend in frontend/static${1:+, wheel in dist}"

# Run the tests; arguments go to pytest
test *ARGS:
    @pytest -n auto --dist loadgroup "$@"

# Run the unit tests, about a minute; arguments go to pytest. `./dev test tests/property` searches longer
unit *ARGS:
    #!/usr/bin/env bash
    set -euo pipefail
    # No rule of theirs is about power loss: files are kept in memory where there is room.
    free=$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 {print $4}')
    if [ -w /dev/shm ] && [ "${free:-0}" -gt 1000000 ]; then export PYTEST_DEBUG_TEMPROOT=/dev/shm; fi
    exec pytest -n auto --dist load -o tmp_path_retention_policy=failed tests/unit "$@"

# Run the tests that drive the whole product over HTTP
e2e *ARGS:
    @pytest -n auto --dist loadgroup -m e2e tests/e2e "$@"

# Measure branch coverage: all of the domain, with --all the rest too; fails below the floors
coverage *ARGS:
    @python -m tests.harness.coverage "$@"

# Format the code
fmt:
    ruff check --fix --quiet . || true
    ruff format .

# Check style, types, use after move, imports and dependencies
lint:
    ruff check .
    ruff format --check .
    pyright
    python -m tools.movecheck
    lint-imports
    deptry .

# Find bitcoind and LND, or build them once into the user's cache (about 10 minutes)
daemons *ARGS:
    @python -m tools.daemons "$@"

# Run the contract suites and the scenarios on real bitcoind and LND; arguments go to pytest. `--soak N` kills daemons
regtest *ARGS:
    #!/usr/bin/env bash
    set -euo pipefail
    python -m tools.daemons
    if [ "${1:-}" = --soak ]; then shift; exec python -m tests.regtest.soak "$@"; fi
    COORDINATOR_REGTEST=1 exec pytest -m regtest tests/contract tests/regtest "$@"

# Start every service in the background, for `run`; state is in .dev
start *ARGS:
    @python -m tools.start "$@"

# End what `start` started
stop *ARGS:
    @python -m coordinator.cli.main stop "$@"

# Run the coordinator with a settings file, or on the services of `start`
run *ARGS:
    @python -m coordinator.cli.main run "$@"

# Bring the database of a settings file up to date
migrate *ARGS:
    @python -m coordinator.cli.main migrate "$@"

# Mine N blocks on the chain of `dev` or `start`
mine N="1" *ARGS:
    @python -m coordinator.cli.main mine "$@"

# Kill the coordinator at every boundary while its services fail; with `--sim` outages and failures on a virtual clock
chaos *ARGS:
    #!/usr/bin/env bash
    set -euo pipefail
    if [ "${1:-}" = --sim ]; then shift; exec python -m tests.harness.sim "$@"; fi
    if [ "${1:-}" = --shuffles ]; then shift; exec python -m tests.harness.shuffles "$@"; fi
    if [ "${1:-}" = --traces ]; then shift; exec python -m tests.harness.traces "$@"; fi
    exec python -m tests.harness.chaos "$@"

# Let competitions come and go for `--hours H`, and measure what grows
soak *ARGS:
    @python -m tests.harness.soak "$@"

# Measure contracts, beside dlctix where cargo is there
bench *ARGS:
    @python -m tests.bench.run "$@"

# Remove what was built and the state of `dev` and `start`
clean:
    rm -rf .venv .dev .hypothesis .pytest_cache .ruff_cache .import_linter_cache frontend/node_modules frontend/static dist
    find coordinator coordinator_core tests migrations -name __pycache__ -type d -prune -exec rm -rf {} +
