"""Options of the commands that claim: the coin that pays, and its key, which no argument ever holds."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import click
from embit.base import EmbitError
from embit.base58 import decode_check

from coordinator.cli import files
from coordinator.cli.claim_bump import FIELD, Bump
from coordinator_core.claim_kit import ClaimDestination, ClaimKit, ClaimPlan
from coordinator_core.competition.terms import Network
from coordinator_core.errors import InvalidInput
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.transaction import OutPoint

F = TypeVar("F", bound=Callable[..., Any])

KEY_VARIABLE: Final = "COORDINATOR_FEE_KEY"
_KEY_FIELD: Final = "fee key"
_WIF_BYTES: Final = 34
_WIF_MAINNET, _WIF_TEST, _COMPRESSED = 0x80, 0xEF, 0x01
_HEX_DIGITS: Final = 64


def fee_options(command: F) -> F:
    """The options of FeeOptions."""
    for option in (
        click.option(
            "--fee-key-file",
            metavar="FILE",
            help=f"Holds the coin's key, WIF or hex; - asks for it. Default: the variable {KEY_VARIABLE}.",
        ),
        click.option(
            FIELD, "fee_utxo", metavar="TXID:VOUT", help="Pay for the next step with this coin; change goes to --to."
        ),
    ):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class FeeOptions:
    """What was given; `fee_rate` is only compared with None."""

    fee_utxo: str | None
    fee_key_file: str | None
    fee_rate: str | None
    esplora: str | None

    def bump(self, kit: ClaimKit, plan: ClaimPlan, destination: ClaimDestination | None) -> Bump | None:
        """The bump, None without a coin. Raises InvalidInput."""
        if self.fee_utxo is None:
            if self.fee_key_file is not None:
                raise InvalidInput("--fee-key-file", "has no coin", f"give {FIELD} as well")
            return None
        if self.esplora is None or destination is None or self.fee_rate is None:
            raise InvalidInput(FIELD, "needs a server, an address and a fee rate", "--esplora, --to and --fee-rate")
        outpoint = OutPoint.parse(self.fee_utxo, FIELD)
        return Bump(kit, plan, outpoint, read_key(self.fee_key_file, kit.terms.network), destination)


def read_key(path: str | None, network: Network) -> SecretKey:
    """A key in WIF or hex from a file, asked for with "-", or from the environment. Raises InvalidInput."""
    if path == files.STDIN:
        text = str(click.prompt("Key of the fee coin", hide_input=True, err=True))
    elif path is not None:
        text = files.read(path).decode("ascii", "replace")
    else:
        text = os.environ.get(KEY_VARIABLE, "")
    if not text.strip():
        raise InvalidInput(_KEY_FIELD, "is not given", f"--fee-key-file FILE, or the variable {KEY_VARIABLE}")
    return SecretKey.from_bytes(_decoded(text.strip(), network), _KEY_FIELD)


def _decoded(text: str, network: Network) -> bytes:
    # No message repeats the text: it may be a key with a typing error.
    try:
        if len(text) == _HEX_DIGITS:
            return bytes.fromhex(text)
        raw = bytes(decode_check(text))
    except (EmbitError, ValueError, KeyError, IndexError):
        raise InvalidInput(_KEY_FIELD, "is no key", "WIF, or 64 digits of hex") from None
    wanted = _WIF_MAINNET if network is Network.MAINNET else _WIF_TEST
    if len(raw) != _WIF_BYTES or raw[0] != wanted or raw[-1] != _COMPRESSED:
        raise InvalidInput(_KEY_FIELD, f"is no key of {network}", "the WIF of a compressed key of that network")
    return raw[1:-1]
