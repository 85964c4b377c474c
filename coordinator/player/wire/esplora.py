"""Answers of an Esplora server."""

from __future__ import annotations

from msgspec import Struct


class TransactionStatus(Struct, frozen=True):
    """GET tx/{txid}/status."""

    confirmed: bool
