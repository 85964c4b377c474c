"""The rights that the client needs of a macaroon: the calls it makes, one by one, and no others.

LND grants single calls as ("uri", full name of the method). The broader offchain:write would also change the fees of
channels and delete the history that tells what was paid.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import partial

from msgspec import Struct

from coordinator.adapters.http import HttpClient, Reply, with_retries
from coordinator.adapters.lightning import refusals
from coordinator.ports.faults import Unreachable
from coordinator_core.errors import Fault
from coordinator_core.secret import Secret
from coordinator_core.transaction import bytes_from_hex

CALLS: Mapping[str, tuple[str, str]] = {
    "/lnrpc.Lightning/GetInfo": ("info", "read"),
    "/lnrpc.Lightning/ListChannels": ("offchain", "read"),
    "/lnrpc.Lightning/ListPayments": ("offchain", "read"),
    "/lnrpc.Lightning/ListInvoices": ("invoices", "read"),
    "/invoicesrpc.Invoices/AddHoldInvoice": ("invoices", "write"),
    "/invoicesrpc.Invoices/LookupInvoiceV2": ("invoices", "read"),
    "/invoicesrpc.Invoices/SubscribeSingleInvoice": ("invoices", "read"),
    "/invoicesrpc.Invoices/SettleInvoice": ("invoices", "write"),
    "/invoicesrpc.Invoices/CancelInvoice": ("invoices", "write"),
    "/routerrpc.Router/SendPaymentV2": ("offchain", "write"),
    "/routerrpc.Router/TrackPaymentV2": ("offchain", "read"),
    "/lnrpc.Lightning/CheckMacaroonPermissions": ("macaroon", "read"),
}
"""Every call of the client with the broader permission that allows it as well. By the last one it sees at start that
none of the others lacks."""

ROOT_KEY_ID = 7_071
"""A root key of its own, so that `lncli deletemacaroonid` revokes this macaroon alone: LND keeps key 0 for ever."""


class _Baked(Struct):
    macaroon: str


class _Checked(Struct):
    valid: bool = False


async def bake(http: HttpClient, root_key_id: int = ROOT_KEY_ID) -> Secret:
    """A macaroon for CALLS alone, in LND's binary form. `http` carries one that may bake: LND's admin.macaroon.

    Raises Unreachable, Rejected or Unsuitable.
    """
    permissions = [{"entity": "uri", "action": call} for call in CALLS]
    reply = await http.post("/v1/macaroon", json={"permissions": permissions, "root_key_id": str(root_key_id)})
    if not reply.ok:
        raise refusals.refusal(reply)
    return Secret(bytes_from_hex(reply.decode(_Baked).macaroon, None, "macaroon"))


async def missing(http: HttpClient, macaroon: Secret) -> tuple[str, ...] | None:
    """The CALLS that `macaroon` does not allow; None when the one of `http` may not ask. Raises Unreachable."""
    lacking: list[str] = []
    for call, (entity, action) in CALLS.items():
        question = {
            "macaroon": base64.b64encode(macaroon.reveal()).decode(),
            "permissions": [{"entity": entity, "action": action}],
            "fullMethod": call,
        }
        # A POST that only reads: without it there is no start, so one broken connection must not decide.
        allowed = await with_retries(partial(_ask, http, question))
        if allowed is None:
            return None
        if not allowed:
            lacking.append(call)
    return tuple(lacking)


async def _ask(http: HttpClient, question: Mapping[str, object]) -> bool | None:
    reply = await http.post("/v1/macaroon/checkpermissions", json=question)
    return None if refusals.is_not_allowed(reply) else _is_allowed(reply)


def _is_allowed(reply: Reply) -> bool:
    if reply.ok:
        return reply.decode(_Checked).valid
    if reply.status == 400:
        return False
    raise Unreachable(
        reply.service, f"rights cannot be read: {refusals.error_of(reply).message}", fault=Fault.LIGHTNING
    )
