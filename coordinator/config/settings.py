"""All settings in one place. A TOML file, overridden by COORDINATOR_* variables; secrets come from files or variables.

COORDINATOR_BITCOIN_RPC_URL overrides `rpc_url` in [bitcoin]. Unknown names are refused.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from coordinator_core.errors import Fault, InvalidInput
from coordinator_core.secret import Secret

PREFIX = "COORDINATOR_"
Network = Literal["mainnet", "testnet4", "signet", "regtest"]


class BitcoinSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The node. `cookie_file` or `user` with the password in COORDINATOR_BITCOIN_RPC_PASSWORD."""

    rpc_url: str
    cookie_file: str | None = None
    user: str = ""
    esplora_url: str | None = None
    poll_seconds: float = 5.0


class LightningSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """LND's REST interface."""

    url: str
    macaroon_file: str
    certificate_file: str | None = None
    hold_expiry_delta: int | None = None
    """LND's `invoices.holdexpirydelta`, when it is not the default of its version."""


class ServiceSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A service with nothing but an address."""

    url: str


class WebSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the coordinator listens, and under which origin the world sees it."""

    host: str = "127.0.0.1"
    port: int = 8080
    public_url: str = ""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything the coordinator is configured with. None of it changes a running competition."""

    network: Network
    data_dir: str
    bitcoin: BitcoinSettings
    lightning: LightningSettings
    keymeld: ServiceSettings
    oracle: ServiceSettings
    web: WebSettings = WebSettings()
    relays: tuple[str, ...] = ()
    domain_clock: Literal["wall", "chain"] = "wall"
    """"chain": dates follow the time of the last block; refused on mainnet."""


def load_settings(path: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """Read and check settings. Raises InvalidInput naming the setting and the fix."""
    try:
        values = tomllib.loads(path.read_text())
    except OSError as error:
        raise _invalid("settings file", f"cannot be read: {error.strerror}", f"create {path.name}") from error
    except tomllib.TOMLDecodeError as error:
        raise _invalid("settings file", f"is not TOML: {error}", "correct the line") from error
    _override(values, os.environ if environment is None else environment)
    try:
        settings = msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise _invalid("settings", str(error), "see docs/settings.md") from error
    if settings.network == "mainnet" and settings.domain_clock == "chain":
        raise _invalid("settings.domain_clock", "is the chain's time on mainnet", 'use "wall"')
    return settings


def passphrase(environment: Mapping[str, str] | None = None) -> Secret:
    """The passphrase of the seed: COORDINATOR_PASSPHRASE_FILE, or COORDINATOR_PASSPHRASE. Raises InvalidInput."""
    env = os.environ if environment is None else environment
    if file := env.get(f"{PREFIX}PASSPHRASE_FILE"):
        return Secret(Path(file).read_bytes().strip())
    if text := env.get(f"{PREFIX}PASSPHRASE"):
        return Secret(text.encode())
    raise _invalid("passphrase", "is not given", f"set {PREFIX}PASSPHRASE_FILE to a file that holds it")


def _override(values: dict[str, Any], environment: Mapping[str, str]) -> None:
    sections = {name.upper(): name for name in values if isinstance(values[name], dict)}
    for variable, text in environment.items():
        name = variable.removeprefix(PREFIX)
        if name == variable or name in ("PASSPHRASE", "PASSPHRASE_FILE", "BITCOIN_RPC_PASSWORD"):
            continue
        section = next((s for s in sections if name.startswith(f"{s}_")), None)
        if section is None:
            values[name.lower()] = text
        else:
            values[sections[section]][name.removeprefix(f"{section}_").lower()] = text


def _invalid(field: str, reason: str, fix: str) -> InvalidInput:
    return InvalidInput(field, reason, fix, fault=Fault.COORDINATOR)
