"""The chain in the database: the cursor, what is looked for in blocks, and what was found."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from coordinator.ports.bitcoin import Block
from coordinator_core.units import Height, UnixTime


class Watch(Struct, frozen=True, order=True):
    """Something to look for in blocks: a transaction ("t", txid) or the spend of an outpoint ("o", "txid:vout").

    That is enough: every transaction of a competition has a txid that is known before it can be in a block, or spends
    an output that is watched, so nothing has to be looked for by its scriptPubKey. Coins of the wallet are read from
    the node's UTXO set when they are needed.
    """

    keytype: str
    key: str


class Search(Struct, frozen=True):
    """A watch whose past has to be searched from `height` on."""

    lane: str
    watch: Watch
    height: Height


class BlockHeader(Struct, frozen=True):
    """The chain cursor: the last block whose hits are stored."""

    height: Height
    block_hash: str
    time: UnixTime
    median_time_past: UnixTime


class Hit(Struct, frozen=True):
    """A watched thing was found in a block."""

    lane: str
    watch: Watch
    txid: str


class ChainWrites(Protocol):
    """Of blocks, watches and hits."""

    async def set_watches(self, lane: str, watches: Mapping[Watch, Height]) -> None:
        """Add watches, each with the height from which it has to be looked for; up to the cursor that is the past and
        has to be searched. Known ones stay, except that an earlier height counts.
        """
        ...

    async def watching(self, transactions: Collection[str], outpoints: Collection[str]) -> Sequence[tuple[str, Watch]]:
        """(lane, watch) of whoever looks for one of these txids, or for a spend of one of these "txid:vout"."""
        ...

    async def add_hits(self, block: BlockHeader, hits: Sequence[Hit]) -> bool:
        """Hits in a stored block. False, and nothing is written, when this block is not stored."""
        ...

    async def searched(self, searches: Sequence[Search], upto: Height) -> None:
        """All blocks below `upto` were searched for them; one that has reached the cursor is done."""
        ...

    async def add_block(self, block: Block) -> None:
        """Move the cursor one block on."""
        ...

    async def keep_block(self, block: Block) -> bool:
        """Store a block below the cursor if none is stored at its height; True when it is stored now."""
        ...

    async def drop_tip(self) -> Sequence[str]:
        """Roll the cursor one block back; the lanes that lost a hit."""
        ...


class ChainReads(Protocol):
    """Of the cursor and of searches."""

    async def tip(self, *, first: bool = False) -> BlockHeader | None:
        """The chain cursor; `first`: the lowest stored block, at which the database was made."""
        ...

    async def unfilled_watches(self) -> Sequence[Search]:
        """Watches that the past was not searched for yet, those with the lowest height first."""
        ...
