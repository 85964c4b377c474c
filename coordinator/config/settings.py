"""All settings in one place. A TOML file, overridden by COORDINATOR_* variables; secrets come from files or variables.

COORDINATOR_BITCOIN_RPC_URL overrides `rpc_url` in [bitcoin]. Unknown names are refused.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from coordinator_core.errors import Fault, InvalidInput
from coordinator_core.nostr.nip19 import npub, parse_npub
from coordinator_core.secret import Secret

PREFIX = "COORDINATOR_"
SECRETS = ("PASSPHRASE", "BITCOIN_RPC_PASSWORD")
"""Variables that hold a secret, or with _FILE behind their name the path of one."""
OPTIONAL_SECRETS = ("ALERT_WEBHOOK",)
"""The same, for what not everybody has."""
SWITCHES = ("REGTEST",)
"""Variables of `./dev regtest`, whose coordinators inherit them: no settings."""
Network = Literal["mainnet", "testnet4", "signet", "regtest"]


class BitcoinSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The chain: Bitcoin Core's RPC or an Esplora server.

    For Core: `cookie_file`, or `user` with the password in a variable or file, see `rpc_password`.
    """

    source: Literal["core", "esplora"] = "core"
    rpc_url: str | None = None
    cookie_file: str | None = None
    user: str = ""
    esplora_url: str | None = None
    esplora_relay_floor: Annotated[int, Meta(ge=25, le=250_000)] = 250
    """What the Esplora server's node takes into its mempool, sat/kWU: Esplora has no call that tells it."""
    poll_seconds: Annotated[float, Meta(gt=0, le=3_600)] = 5.0


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


class LimitSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many requests one address, and one player's key, may send; a costly one counts as five."""

    address_per_second: float = 50.0
    address_burst: int = 1_000
    player_per_second: float = 5.0
    player_burst: int = 200
    tracked: int = 20_000
    """Addresses and keys that are remembered, each."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks of reverse proxies whose X-Forwarded-For is believed."""


Attempts = Annotated[int, Meta(ge=1, le=256)]


class DutySettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Attempts at duties that run at a time, by what they talk to. One competition gets half of each at most."""

    oracle: Attempts = 4
    keymeld: Attempts = 10
    lightning: Attempts = 16
    chain: Attempts = 8
    local: Attempts = 2
    """Work of our own, such as building contracts."""
    notify: Attempts = 2
    watch: Attempts = 64
    """Invoices that are listened to."""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything the coordinator is configured with. None of it changes a running competition."""

    network: Network
    data_dir: str
    bitcoin: BitcoinSettings
    lightning: LightningSettings
    keymeld: ServiceSettings
    oracle: ServiceSettings
    web: WebSettings = WebSettings()
    limits: LimitSettings = LimitSettings()
    duties: DutySettings = DutySettings()
    closings_at_once: Annotated[int, Meta(ge=1, le=1_000)] = 20
    """Competitions between the opening of their keymeld session and their funding; the others wait for their turn."""
    relays: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    """Nostr keys (npub or hex) that may act as operators under their own name."""
    settle_only: bool = False
    """Take on no new competition, ticket or funding; finish everything that is owed."""
    domain_clock: Literal["wall", "chain"] = "wall"
    """"chain": dates follow the time of the last block; refused on mainnet."""


def load_settings(path: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """Read and check settings. Raises InvalidInput naming the setting and the fix."""
    try:
        values = tomllib.loads(path.read_text())
    except OSError as error:
        raise _invalid("settings file", f"cannot be read: {error.strerror}", f"create {path.name}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _invalid("settings file", f"is not TOML: {error}", "correct the line") from error
    _override(values, os.environ if environment is None else environment)
    try:
        settings = msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise _invalid("settings", str(error), "see docs/settings.md") from error
    check(settings)
    return settings


def passphrase(environment: Mapping[str, str] | None = None) -> Secret:
    """The passphrase of the seed: COORDINATOR_PASSPHRASE_FILE, or COORDINATOR_PASSPHRASE. Raises InvalidInput."""
    found = _secret("PASSPHRASE", environment)
    if found is None:
        raise _invalid("passphrase", "is not given", f"set {PREFIX}PASSPHRASE_FILE to a file that holds it")
    return found


def rpc_password(environment: Mapping[str, str] | None = None) -> Secret | None:
    """The password of `bitcoin.user`: COORDINATOR_BITCOIN_RPC_PASSWORD_FILE, or COORDINATOR_BITCOIN_RPC_PASSWORD.

    None without either. Raises InvalidInput.
    """
    return _secret("BITCOIN_RPC_PASSWORD", environment)


def alert_webhook(environment: Mapping[str, str] | None = None) -> Secret | None:
    """Where alerts are posted to: COORDINATOR_ALERT_WEBHOOK_FILE, or COORDINATOR_ALERT_WEBHOOK. A secret, because
    services put their token into it. None without either. Raises InvalidInput.
    """
    return _secret("ALERT_WEBHOOK", environment)


def _secret(name: str, environment: Mapping[str, str] | None) -> Secret | None:
    env = os.environ if environment is None else environment
    if file := env.get(f"{PREFIX}{name}_FILE"):
        return _secret_file(name, Path(file))
    text = env.get(f"{PREFIX}{name}")
    return Secret(text.encode()) if text else None


def _secret_file(name: str, path: Path) -> Secret:
    variable = f"{PREFIX}{name}_FILE"
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise _invalid(variable, f"cannot be read: {error.strerror}", "give the path of a file") from None
    if not secret:
        raise _invalid(variable, "names an empty file", "write the secret into it")
    return Secret(secret)


def _override(values: dict[str, Any], environment: Mapping[str, str]) -> None:
    fields = msgspec.structs.fields(Settings)
    sections = {f.name.upper(): f.name for f in fields if isinstance(f.type, type) and issubclass(f.type, Struct)}
    for variable, text in environment.items():
        name = variable.removeprefix(PREFIX)
        if name == variable or name.removesuffix("_FILE") in (*SECRETS, *OPTIONAL_SECRETS) or name in SWITCHES:
            continue
        section = next((s for s in sections if name.startswith(f"{s}_")), None)
        if section is None:
            values[name.lower()] = _value(variable, text)
        else:
            values.setdefault(sections[section], {})[name.removeprefix(f"{section}_").lower()] = _value(variable, text)


def _value(variable: str, text: str) -> object:
    """A list is written as in the file; everything else is the text, converted to what the setting is."""
    if not text.startswith("["):
        return text
    try:
        return tomllib.loads(f"list = {text}")["list"]
    except tomllib.TOMLDecodeError as error:
        raise _invalid(variable, f"is no list: {error}", 'write ["a", "b"]') from error


def check(settings: Settings) -> None:
    """Settings that do not go together. Raises InvalidInput naming the setting and the fix."""
    if settings.network == "mainnet" and settings.domain_clock == "chain":
        raise _invalid("settings.domain_clock", "is the chain's time on mainnet", 'use "wall"')
    owner_keys(settings)
    if settings.bitcoin.source == "esplora":
        _check_esplora(settings)
    elif settings.bitcoin.rpc_url is None:
        raise _invalid("settings.bitcoin.rpc_url", "is missing", "give the address of Bitcoin Core's JSON-RPC")


def owner_keys(settings: Settings) -> frozenset[bytes]:
    """X-only keys of the owners. Raises InvalidInput."""
    keys: set[bytes] = set()
    for number, text in enumerate(settings.owners):
        field = f"settings.owners[{number}]"
        try:
            keys.add(parse_npub(text if text.startswith("npub") else npub(bytes.fromhex(text)), field))
        except (InvalidInput, ValueError):
            raise _invalid(field, "is no Nostr key", "give an npub, or 64 hex digits") from None
    return frozenset(keys)


def _check_esplora(settings: Settings) -> None:
    """What such a server says moves money, so it has to be the server that was meant; on mainnet our own."""
    field, url = "settings.bitcoin.esplora_url", settings.bitcoin.esplora_url
    if url is None:
        raise _invalid(field, "is missing", "give the address of the Esplora server")
    if _is_loopback(url):
        return
    if settings.network == "mainnet":
        reason = "is another machine's: its word on blocks and mempool would move real money"
        raise _invalid(field, reason, "run Esplora on this machine beside your node")
    if not url.startswith("https://"):
        raise _invalid(field, "is reached in the clear", "use https://, or a server on this machine")


def _is_loopback(url: str) -> bool:
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _invalid(field: str, reason: str, fix: str) -> InvalidInput:
    return InvalidInput(field, reason, fix, fault=Fault.COORDINATOR)
