"""Write the golden file of every state, fact and duty that has none at its present version (tests/vectors/states).

A file that is there says what a release wrote, and is never changed: a struct that stores something else gets the next
`version` and an upcaster. Before the first release holds such a row, --unreleased writes files again.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.samples import CODECS, golden, golden_file


def main() -> int:
    """Exit code 1 when a file says something else than its struct."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--unreleased", action="store_true", help="write files again that say something else")
    unreleased = parser.parse_args().unreleased
    differing = 0
    for codec in CODECS:
        for tag in codec.types:
            path, wanted = golden_file(codec, tag, codec.version(tag)), golden(codec, tag)
            if path.exists() and path.read_text() != wanted and not unreleased:
                print(f"{path.name} says something else: give {tag} version {codec.version(tag) + 1}", file=sys.stderr)
                differing += 1
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
