"""The engine: facts in, pure decisions, duties out; every effect has a committed intent before it."""
