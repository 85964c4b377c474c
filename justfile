# Recipes; run them as `./dev <recipe>`, which makes the tools first.
set shell := ["bash", "-euo", "pipefail", "-c"]

# List the recipes
default:
    @just --list --unsorted

# Format the code
fmt:
    ruff check --fix --quiet . || true
    ruff format .

# Check style, types, imports and dependencies
lint:
    ruff check .
    ruff format --check .
    pyright
    lint-imports
    deptry .

# Run the tests; arguments go to pytest
test *ARGS:
    pytest -n auto {{ARGS}}
