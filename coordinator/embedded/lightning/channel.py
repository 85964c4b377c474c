"""A channel as a ledger: an HTLC leaves one balance when it is offered and joins a balance when it ends.

Every function keeps `sum(balances) + sum(htlcs) == capacity`. What the commitment transaction would cost its
opener is computed for display and for what can be spent; it never moves in the ledger.
"""

from __future__ import annotations

from typing import Final

from coordinator.embedded.lightning.model import Channel, ChannelHtlc
from coordinator_core.errors import CoreError

MSAT: Final = 1000
"""Millisatoshi in a satoshi."""
DUST_LIMIT_SAT: Final = 354
FEE_PER_KW: Final = 2500
MIN_CAPACITY_SAT: Final = 20_000
MAX_CAPACITY_SAT: Final = 1_000_000_000
ANCHORS_SAT: Final = 660
_COMMITMENT_WEIGHT: Final = 1116
_FEE_WEIGHT: Final = 1124
_HTLC_WEIGHT: Final = 172


class ChannelShort(CoreError):
    """The offering side cannot spend that much in this channel."""

    code = "embedded.lightning.channel_short"


def other_side(channel: Channel, alias: str) -> str:
    """The node at the other end."""
    return channel.peer if alias == channel.opener else channel.opener


def reserve_sat(channel: Channel) -> int:
    """What each side must keep: one percent of the capacity."""
    return channel.capacity_sat // 100


def held_msat(channel: Channel) -> int:
    """The sum of all HTLCs."""
    return sum(htlc.amount_msat for htlc in channel.htlcs)


def commitment_weight(channel: Channel) -> int:
    """Weight units of the commitment transaction as LND reports it."""
    return _COMMITMENT_WEIGHT + _HTLC_WEIGHT * _untrimmed(channel)


def commitment_fee_sat(channel: Channel, more_htlcs: int = 0) -> int:
    """Fee of the commitment transaction, with `more_htlcs` beyond those held now."""
    return FEE_PER_KW * (_FEE_WEIGHT + _HTLC_WEIGHT * (_untrimmed(channel) + more_htlcs)) // 1000


def shown_commitment_fee_sat(channel: Channel) -> int:
    """The fee as a node shows it: with the parts of a satoshi and the HTLCs too small for an output."""
    outputs = sum(shown_balance_msat(channel, alias) // MSAT for alias in channel.balances)
    outputs += sum(htlc.amount_msat // MSAT for htlc in channel.htlcs if _has_output(htlc))
    return channel.capacity_sat - outputs - ANCHORS_SAT


def shown_balance_msat(channel: Channel, alias: str) -> int:
    """A side's balance as its node shows it: the opener's is less commitment fee and anchors."""
    cost = commitment_fee_sat(channel) + ANCHORS_SAT if alias == channel.opener else 0
    return max(0, channel.balances[alias] - cost * MSAT)


def spendable_msat(channel: Channel, alias: str) -> int:
    """What a side can offer in one more HTLC."""
    kept = reserve_sat(channel)
    if alias == channel.opener:
        kept += commitment_fee_sat(channel, more_htlcs=1) + ANCHORS_SAT
    return max(0, channel.balances[alias] - kept * MSAT)


def offer(channel: Channel, alias: str, amount_msat: int, payment_hash: bytes, expiry_height: int) -> int:
    """Hold an amount of one side's balance; the index of the HTLC. Raises ChannelShort."""
    if not 0 < amount_msat <= spendable_msat(channel, alias):
        raise ChannelShort(f"{alias} cannot offer {amount_msat} msat in channel {channel.chan_id}")
    index = channel.next_index[alias]
    channel.next_index[alias] = index + 1
    channel.balances[alias] -= amount_msat
    channel.htlcs.append(ChannelHtlc(index, alias, amount_msat, payment_hash, expiry_height))
    channel.updates += 1
    return index


def settle(channel: Channel, offered_by: str, index: int) -> None:
    """Give a held amount to the side it was offered to."""
    htlc = _take(channel, offered_by, index)
    channel.balances[other_side(channel, offered_by)] += htlc.amount_msat
    channel.sent[offered_by] += htlc.amount_msat


def fail(channel: Channel, offered_by: str, index: int) -> None:
    """Give a held amount back."""
    htlc = _take(channel, offered_by, index)
    channel.balances[offered_by] += htlc.amount_msat


def _take(channel: Channel, offered_by: str, index: int) -> ChannelHtlc:
    htlc = next(item for item in channel.htlcs if (item.offered_by, item.index) == (offered_by, index))
    channel.htlcs.remove(htlc)
    channel.updates += 1
    return htlc


def _untrimmed(channel: Channel) -> int:
    return sum(_has_output(htlc) for htlc in channel.htlcs)


def _has_output(htlc: ChannelHtlc) -> bool:
    return htlc.amount_msat >= DUST_LIMIT_SAT * MSAT
