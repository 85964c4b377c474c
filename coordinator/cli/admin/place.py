"""Which coordinator an operator's command talks to, and as whom."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from coordinator.cli.admin.owner_key import OwnerKey
from coordinator.cli.competition.operator import OperatorApi
from coordinator.cli.competition.place import connect, place_options
from coordinator.cli.exits import errors_end_the_command

F = TypeVar("F", bound=Callable[..., Any])
_OWNER: Final = "Your own Nostr key (nsec or hex), one of the settings' `owners`: signs instead of the token."
_REASON: Final = "Why; it stays in the audit log under your name."


def operator_options(command: Callable[..., None]) -> Callable[..., None]:
    """Options for the place, and the key of an owner; the command gets the connection as `api`."""

    @functools.wraps(command)
    def connected(
        *, url: str | None, token_file: str | None, data_dir: Path | None, owner_key_file: str | None, **rest: Any
    ) -> None:
        with _connected(url, token_file, data_dir, owner_key_file) as api:
            command(api=api, **rest)

    owner = click.option("--owner-key-file", metavar="FILE", help=_OWNER)
    return owner(place_options(connected))


@contextmanager
def _connected(
    url: str | None, token_file: str | None, data_dir: Path | None, owner_key_file: str | None
) -> Iterator[OperatorApi]:
    with errors_end_the_command():
        owner = None if owner_key_file is None else OwnerKey.read(owner_key_file)
        with connect(url, token_file, data_dir, owner) as api:
            yield api


def reason_option(command: F) -> F:
    """Why."""
    return click.option("--reason", required=True, help=_REASON)(command)
