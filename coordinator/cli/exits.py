"""How a command ends on an error: one line on stderr, exit code 2 for input to correct, 1 for all else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import click

from coordinator.cli.text import one_line
from coordinator.ports.faults import PortError
from coordinator_core.errors import CoreError, InvalidInput

EXIT_FAILED: Final = 1
EXIT_BAD_INPUT: Final = 2


def told(error: Exception) -> str:
    """One line: the error, and its notes, such as the file that it is about."""
    return one_line(", in ".join([str(error), *getattr(error, "__notes__", ())]))


@contextmanager
def errors_end_the_command() -> Iterator[None]:
    """Turn errors of ours into the exit code; defects stay tracebacks."""
    try:
        yield
    except (CoreError, PortError) as error:
        click.echo(f"Error: {told(error)}", err=True)
        raise click.exceptions.Exit(EXIT_BAD_INPUT if isinstance(error, InvalidInput) else EXIT_FAILED) from None
