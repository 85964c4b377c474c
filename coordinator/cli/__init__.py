"""Commands: each file is one group, mounted by `main`."""
