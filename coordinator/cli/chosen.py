"""Which settings file `coordinator run` takes, and where its passphrase is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from coordinator.cli.dev.prepare import PASSPHRASE_FILE
from coordinator.cli.dev.stack_file import DEFAULT_DIRECTORY, FILE
from coordinator.config.settings import PREFIX, passphrase
from coordinator_core.secret import Secret

DEFAULT: Final = Path("coordinator.toml")


@dataclass(frozen=True, slots=True)
class Chosen:
    """A settings file, and the file of the passphrase that belongs to it when no variable names one."""

    path: Path
    passphrase_file: Path | None = None

    def passphrase(self) -> Secret:
        """The passphrase of the seed. Raises InvalidInput."""
        variables = {f"{PREFIX}PASSPHRASE", f"{PREFIX}PASSPHRASE_FILE"}
        if self.passphrase_file is None or variables & os.environ.keys():
            return passphrase()
        return passphrase({f"{PREFIX}PASSPHRASE_FILE": str(self.passphrase_file)})


def choose(path: Path | None) -> Chosen:
    """What is asked for, else coordinator.toml, else the settings of services that run in the background."""
    developed = DEFAULT_DIRECTORY / DEFAULT
    if path is None and not DEFAULT.exists() and developed.exists():
        path = developed
    path = path or DEFAULT
    beside = path.with_name(PASSPHRASE_FILE)
    return Chosen(path, beside if (path.parent / FILE).exists() and beside.exists() else None)
