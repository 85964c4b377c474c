"""`python -m tests.harness.terms --count 100`: the same as `./dev chaos --terms 100`."""

from __future__ import annotations

import argparse
import sys

from tests.harness import chaos


def main() -> int:
    """Run, print, and give 1 if a rule was broken."""
    parser = argparse.ArgumentParser(prog="terms", description="A coordinator told to stop again and again under load.")
    parser.add_argument("--count", type=int, default=100, metavar="N", help="SIGTERMs at least (default 100)")
    known, others = parser.parse_known_args()
    return chaos.main(["--terms", str(known.count), *others])


if __name__ == "__main__":
    sys.exit(main())
