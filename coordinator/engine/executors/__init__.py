"""Executors of duties, by dependency. Each asks outside first what already happened, acts, then verifies."""
