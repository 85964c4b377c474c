"""A player's directory: the seed, and for each competition a state without secrets, terms, kit and ticket preimage."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from coordinator.cli import files
from coordinator.player.closing import Sealing
from coordinator.player.keys import PlayerKeys
from coordinator.player.play import Player
from coordinator_core.competition.documents import decode_strict
from coordinator_core.competition.picks import Pick
from coordinator_core.errors import InvalidInput
from coordinator_core.nostr.event import Event
from coordinator_core.secret import Secret
from coordinator_core.transaction import bytes_from_hex

DEFAULT: Final = Path("~/.coordinator-player")
SEED: Final = "seed"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_SECRET_FREE: Final = (
    "entry_id",
    "ticket_hash",
    "invoice",
    "receipt",
    "sealing",
    "entries_seen",
    "contract",
    "payout_request",
    "debt_receipt",
    "picks",
)
"""Members that a player and its state have in common."""


class EntryState(Struct, kw_only=True):
    """One entry as its player's client remembers it. Keys and salt follow from the seed."""

    url: str
    competition: str
    terms_hash: str | None = None
    entry_id: str = ""
    picks: tuple[Pick, ...] = ()
    ticket_hash: str = ""
    invoice: str = ""
    receipt: Event | None = None
    sealing: Sealing | None = None
    entries_seen: dict[str, str] = field(default_factory=dict[str, str])
    contract: str | None = None
    payout_request: str = ""
    debt_receipt: Event | None = None

    def give_to(self, player: Player) -> None:
        """Let a player go on from here."""
        player.terms_hash = None if self.terms_hash is None else bytes_from_hex(self.terms_hash, 32, "terms_hash")
        for name in _SECRET_FREE:
            setattr(player, name, getattr(self, name))

    def take_from(self, player: Player) -> None:
        """Remember what the player knows now."""
        self.terms_hash = None if player.terms_hash is None else player.terms_hash.hex()
        for name in _SECRET_FREE:
            setattr(self, name, getattr(player, name))


@dataclass(frozen=True, slots=True)
class Home:
    """The directory. Every file is for its owner only. Raises InvalidInput."""

    directory: Path

    @property
    def has_seed(self) -> bool:
        """False before the first use."""
        return (self.directory / SEED).exists()

    def keys(self) -> PlayerKeys:
        """Keys from the seed file, which is made on first use and never written again."""
        path = self.directory / SEED
        if not path.exists():
            files.create(path, Secret.random(32).reveal().hex().encode() + b"\n")
        if path.stat().st_mode & _OTHERS:
            raise InvalidInput(str(path), "can be read by others", f"chmod 600 {path}")
        text = files.read(path).decode("ascii", "replace").strip()
        return PlayerKeys(Secret(bytes_from_hex(text, 32, str(path))))

    def find(self, competition: str) -> EntryState | None:
        """What is remembered of a competition; None before the first ticket."""
        path = self._path(competition, "json")
        return decode_strict(files.read(path), EntryState, str(path)) if path.exists() else None

    def entry(self, competition: str) -> EntryState:
        """As find, but there has to be one."""
        state = self.find(competition)
        if state is None:
            raise InvalidInput("competition", f"has no entry in {self.directory}", "join it first, or give --home")
        return state

    def save(self, state: EntryState) -> None:
        """Write a state."""
        files.write(self._path(state.competition, "json"), msgspec.json.format(msgspec.json.encode(state), indent=1))

    def terms(self, competition: str) -> Path:
        """Where the canonical terms are: receipts prove something only together with them."""
        return self._path(competition, "terms.json")

    def kit(self, competition: str) -> Path:
        """Where the claim kit is."""
        return self._path(competition, "kit.json")

    def preimage(self, competition: str) -> Path:
        """Where the ticket preimage is, once the ticket is settled. It is a secret."""
        return self._path(competition, "preimage")

    def _path(self, competition: str, kind: str) -> Path:
        return self.directory / f"{competition}.{kind}"


def as_home(_: Any, __: Any, value: Path) -> Home:
    """A click callback: the directory as a Home."""
    return Home(value.expanduser())
