"""The house's money: compared with the outside, unexplained payments, nothing new taken on."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, get, post
from litestar.di import NamedDependency

from coordinator.api.acting import asked
from coordinator.api.auth import operator_of
from coordinator.api.context import Api
from coordinator.api.documents import admin as bodies
from coordinator.api.documents import money as documents
from coordinator.api.operation import Who, described
from coordinator.engine.reconciliation.payments import Unexplained

OPERATOR = Who.OPERATOR


@get("/operator/money", operation_class=described({200: documents.Money}, who=OPERATOR))
async def show_money(api: NamedDependency[Api], request: Request[Any, Any, Any]) -> dict[str, Any]:
    """How far chain and Lightning were compared, and what nothing here explains. Asks nobody outside."""
    await operator_of(request, api)
    made = api.engine.money.reconciliation
    invoices = [msgspec.to_builtins(line) for line in made.strangers]
    audit = api.engine.money.audit
    return {
        "amounts": {bucket.value: msgspec.to_builtins(known) for bucket, known in audit.buckets.items()},
        "gap": audit.gap,
        "faults": [{"competition": fault.lane, "what": fault.what} for fault in audit.faults],
        "reconciliation": msgspec.to_builtins(made.progress()),
        "payments": _payments(made.unexplained),
        "invoices": [{name: line[name] for name in _INVOICE} for line in invoices],
    }


_INVOICE = documents.UnexplainedInvoice.__struct_fields__


def _payments(found: Unexplained) -> list[dict[str, Any]]:
    return [
        {
            **msgspec.to_builtins(payment),
            "explained": payment.payment_hash in found.explained,
            "holds": "/".join(found.holding.get(payment.payment_hash, ())) or None,
        }
        for payment in found.payments
    ]


@post(
    "/operator/payments/explain",
    status_code=200,
    operation_class=described({200: documents.Explained}, who=OPERATOR, takes=documents.ExplainBody, command=True),
)
async def explain(api: NamedDependency[Api], request: Request[Any, Any, Any]) -> dict[str, Any]:
    """Say what a payment of the node was for: it holds no prize any more."""
    by, body = await asked(api, request, documents.ExplainBody)
    return msgspec.json.decode(await api.engine.money.explain(by, body.payment_hash))


@post(
    "/operator/settle-only",
    status_code=200,
    operation_class=described({200: documents.SettlesOnly}, who=OPERATOR, takes=bodies.ReasonBody, command=True),
)
async def settle_only(api: NamedDependency[Api], request: Request[Any, Any, Any]) -> dict[str, Any]:
    """Take on no new competition, ticket or funding; finish everything that is owed."""
    by, _ = await asked(api, request, bodies.ReasonBody)
    return msgspec.json.decode(await api.engine.settle_only.begin(by))


@post(
    "/operator/take-on",
    status_code=200,
    operation_class=described({200: documents.SettlesOnly}, who=OPERATOR, takes=bodies.ReasonBody, command=True),
)
async def take_on(api: NamedDependency[Api], request: Request[Any, Any, Any]) -> dict[str, Any]:
    """Take on new competitions, tickets and fundings again."""
    by, _ = await asked(api, request, bodies.ReasonBody)
    return msgspec.json.decode(await api.engine.settle_only.end(by))


@post(
    "/operator/keys/accept",
    status_code=200,
    operation_class=described({200: documents.Accepted}, who=OPERATOR, takes=documents.AcceptBody, command=True),
)
async def accept_key(api: NamedDependency[Api], request: Request[Any, Any, Any]) -> dict[str, Any]:
    """Take the key that a service has now for its own, after it had another one. 409 if it is not the key sent."""
    by, body = await asked(api, request, documents.AcceptBody)
    return msgspec.json.decode(await api.engine.money.accept_key(by, body.whose, body.key))


handlers = [show_money, explain, settle_only, take_on, accept_key]
