"""Which coordinator a command talks to: --url and --token-file, or the data directory of `coordinator dev`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from coordinator.cli import files
from coordinator.cli.competition.operator import OperatorApi, Signer
from coordinator.cli.dev.stack_file import DEFAULT_DIRECTORY, StackFile
from coordinator_core.errors import InvalidInput

F = TypeVar("F", bound=Callable[..., Any])


def place_options(command: F) -> F:
    """The three options."""
    for option in (
        click.option(
            "--data-dir",
            type=click.Path(path_type=Path, file_okay=False),
            help=f"The one of `coordinator dev`: gives URL and token. Default: {DEFAULT_DIRECTORY}, if there is one.",
        ),
        click.option("--token-file", metavar="FILE", help="operator.token in the coordinator's data_dir."),
        click.option("--url", envvar="COORDINATOR_URL", metavar="URL", help="Address of the coordinator."),
    ):
        command = option(command)
    return command


def connect(
    url: str | None, token_file: str | None, data_dir: Path | None, signer: Signer | None = None
) -> OperatorApi:
    """The coordinator that the options name; `signer` acts in place of a token. Raises InvalidInput for no name."""
    if url is None:
        stack = StackFile.known(data_dir or DEFAULT_DIRECTORY)
        if stack is None:
            raise InvalidInput("--url", "is not given", "--url URL, or --data-dir of a running `coordinator dev`")
        url, token_file = stack.service("coordinator").url, token_file or stack.operator_token_file
    token = None if token_file is None or signer is not None else files.read(token_file, "--token-file")
    return OperatorApi(url, token, signer=signer)
