"""See table.py; apart from it, since other processes have to find its functions by their names."""

import sys

from tests.harness.sim.table import main

if __name__ == "__main__":
    sys.exit(main())
