"""Kinds of members that several answers have."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from coordinator_core.competition.observation import ATTEMPTS
from coordinator_core.units import Sats, UnixTime

Text = Annotated[str, Meta(max_length=2_000)]
Uuid = Annotated[str, Meta(pattern=r"\A[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")]
"""In its one canonical form: it becomes a part of addresses."""
Moment = Annotated[UnixTime, Meta(ge=0, lt=1 << 40)]
Amount = Annotated[Sats, Meta(ge=0, le=2_100_000_000_000_000)]
Attempt = Annotated[int, Meta(ge=1, le=ATTEMPTS)]
PaymentRequest = Annotated[str, Meta(min_length=1, max_length=7_089)]
"""BOLT11; longer ones fit into no QR code."""
