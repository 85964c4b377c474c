"""Invariants of the embedded node under random input."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordinator.embedded.node.address import address_to_script, script_to_address
from coordinator.embedded.node.chunks import Member, chunks, improves_diagram, linearize
from coordinator.embedded.node.codec import OutPoint, Transaction, TxInput, TxOutput
from coordinator.embedded.node.errors import TransactionRejected
from coordinator.embedded.node.esplora.routes import ROUTES, answer
from coordinator.embedded.node.faucet import key_path_hash
from coordinator.embedded.node.node import EmbeddedNode, NodeOptions
from coordinator.embedded.node.rpc.dispatch import METHODS, Dispatcher
from coordinator.embedded.node.rpc.method import Context
from coordinator.embedded.node.script import core_asm, esplora_asm, push, script_type
from coordinator_core.errors import InvalidInput
from coordinator_core.secp256k1 import SecretKey, schnorr_sign

SHARED = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
SECRET = SecretKey.from_bytes(sha256(b"property").digest()).taproot_tweaked()
SCRIPT = b"\x51" + push(SECRET.x_only)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedNode]:
    options = NodeOptions(start_time=1_795_000_000, frozen=True)
    with EmbeddedNode(tmp_path_factory.mktemp("node"), options) as opened:
        yield opened


@pytest.fixture(scope="module")
def context(node: EmbeddedNode) -> Context:
    return Context(node, stop=lambda: None, uptime_seconds=lambda: 0)


scripts = st.one_of(
    st.binary(max_size=80),
    st.builds(lambda v, p: bytes([v]) + push(p), st.sampled_from([0, 0x51, 0x60]), st.binary(min_size=2, max_size=40)),
)
transactions = st.builds(
    lambda ins, outs, version, lock: Transaction.build(ins, outs, version=version, lock_time=lock),
    st.lists(
        st.builds(
            TxInput,
            st.builds(OutPoint, st.binary(min_size=32, max_size=32), st.integers(0, 0xFFFFFFFF)),
            st.binary(max_size=300),
            st.integers(0, 0xFFFFFFFF),
            st.lists(st.binary(max_size=300), max_size=4).map(tuple),
        ),
        min_size=1,
        max_size=4,
    ),
    st.lists(st.builds(TxOutput, st.integers(-(1 << 63), (1 << 63) - 1), scripts), max_size=4),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 0xFFFFFFFF),
)


@given(transactions)
def test_transactions_survive_the_wire(transaction: Transaction) -> None:
    parsed = Transaction.parse(transaction.raw)
    assert parsed == transaction
    assert (parsed.txid, parsed.wtxid, parsed.weight) == (transaction.txid, transaction.wtxid, transaction.weight)


@given(transactions, st.data())
def test_a_cut_or_lengthened_transaction_is_refused(transaction: Transaction, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(transaction.raw) - 1))
    with pytest.raises(InvalidInput):
        Transaction.parse(transaction.raw[:cut])
    with pytest.raises(InvalidInput):
        Transaction.parse(transaction.raw + b"\x00")


@given(st.binary(max_size=400))
def test_any_bytes_decode_to_themselves_or_are_refused(raw: bytes) -> None:
    try:
        parsed = Transaction.parse(raw)
    except InvalidInput:
        return
    assert parsed.raw == raw


@given(scripts)
def test_addresses_lead_back_to_their_script(script: bytes) -> None:
    core_asm(script), esplora_asm(script), script_type(script)
    address = script_to_address(script)
    if address is None:
        return
    if script[0] == 0 and len(script) not in (22, 34):
        # Core shows no such program either; there is no valid address for it.
        with pytest.raises(InvalidInput):
            address_to_script(address)
        return
    assert address_to_script(address) == script


@given(st.text(max_size=100))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        script = address_to_script(text)
    except InvalidInput:
        return
    assert script_to_address(script) == text.lower() or script_to_address(script) == text


@st.composite
def clusters(draw: st.DrawFn) -> dict[bytes, Member]:
    members: dict[bytes, Member] = {}
    for number in range(draw(st.integers(1, 8))):
        parents = draw(st.sets(st.sampled_from(sorted(members)))) if members else set[bytes]()
        fee, weight = draw(st.integers(0, 5_000)), draw(st.integers(200, 4_000))
        members[bytes([number])] = Member(fee, weight, frozenset(parents))
    return members


@given(clusters())
def test_chunks_keep_everything_in_order_and_fall_in_rate(members: dict[bytes, Member]) -> None:
    order = linearize(members)
    assert sorted(order) == sorted(members)
    assert all(order.index(p) < order.index(t) for t in members for p in members[t].parents)
    cut = chunks(members, order)
    assert [t for c in cut for t in c.txids] == order
    assert all(not a.pays_less_than(b) for a, b in pairwise(cut))
    assert not improves_diagram(cut, cut)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from([-2, -1, 0, 1, 2, 1 << 40, 1 << 70, 0.5, -1e300])
    | st.text(max_size=70)
    | st.sampled_from(["ff" * 32, "00" * 32, "raw(51)", "bcrt1pfeesnyr2tx", "start", "2.0", "1.0"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
requests = st.fixed_dictionaries(
    {
        "method": st.sampled_from(sorted(METHODS)) | json_values,
        "params": st.lists(json_values, max_size=4) | json_values,
    },
    optional={"jsonrpc": st.sampled_from(["1.0", "2.0"]) | json_values, "id": json_values},
)


@SHARED
@given(st.one_of(requests, st.lists(requests, max_size=3), json_values))
def test_every_request_gets_an_answer_of_the_protocol(context: Context, request: Any) -> None:
    reply = Dispatcher(context).answer(json.dumps(request).encode())
    if reply.status == 204:
        assert reply.body == b""
        return
    assert reply.status in (200, 400, 404, 500)
    parsed = json.loads(reply.body)
    for one in parsed if isinstance(parsed, list) else [parsed]:
        error = one.get("error")
        assert error is None or isinstance(error["code"], int)


@SHARED
@given(st.binary(max_size=200))
def test_every_body_gets_an_answer(context: Context, body: bytes) -> None:
    reply = Dispatcher(context).answer(body)
    assert reply.status in (200, 204, 400, 404, 500)


def test_deep_nesting_is_a_parse_error(context: Context) -> None:
    assert json.loads(Dispatcher(context).answer(b"[" * 200_000).body)["error"]["code"] == -32700
    assert answer(context, "POST", "/faucet", b'{"a":' * 200_000).status == 400


parts = st.text(min_size=1, max_size=70) | st.sampled_from(["ff" * 32, "0", "bcrt1pfeesnyr2tx"])


@SHARED
@given(st.sampled_from(ROUTES), st.data(), st.binary(max_size=100))
def test_every_path_gets_an_answer(context: Context, route: Any, data: st.DataObject, body: bytes) -> None:
    names = list(route.pattern.groupindex)
    path = route.pattern.pattern.removesuffix("/?")
    for name in names:
        path = path.replace(f"(?P<{name}>[^/]+)", data.draw(parts))
    assert answer(context, route.method, path.replace("\\", ""), body).status in (200, 400, 404, 405)


@SHARED
@given(
    st.integers(0, 3),
    st.sampled_from([0xFFFFFFFF, 0xFFFFFFFE, 0, 1, 2, 3, 1 << 22, 1 << 22 | 1, 1 << 22 | 3, 1 << 31 | 5]),
    st.integers(1, 2),
    st.sampled_from([-2, -1, 0, 1]),
    st.booleans(),
    st.booleans(),
)
def test_the_mempool_agrees_with_the_engine(
    node: EmbeddedNode, depth: int, sequence: int, version: int, lock: int, by_time: bool, forged: bool
) -> None:
    """What the mempool takes would connect; what it refuses by lock or signature would not."""
    outpoint = node.fund(SCRIPT, 20_000)
    node.mine(1 + depth)
    lock_time = (node.tip.median_time_past if by_time else node.height) + lock
    unsigned = Transaction.build(
        [TxInput(outpoint, sequence=sequence)], [TxOutput(19_000, SCRIPT)], version=version, lock_time=lock_time
    )
    spent = [TxOutput(20_000, SCRIPT)]
    message = bytes(32) if forged else key_path_hash(unsigned, spent, 0)
    witness = (schnorr_sign(message, SECRET, bytes(32)),)
    signed = Transaction.build(
        [TxInput(outpoint, sequence=sequence, witness=witness)],
        unsigned.outputs,
        version=version,
        lock_time=lock_time,
    )
    verdict = node.chain.would_connect([signed], SCRIPT, node.tip.time + 1)
    assert mempool_reason(node, signed) == MEMPOOL_WORDS[engine_rule(verdict)]


MEMPOOL_WORDS = {
    "connects": None,
    "contains a non-BIP68-final": "non-BIP68-final",
    "non-final transaction": "non-final",
    "Invalid Schnorr signature": "mempool-script-verify-flag-failed (Invalid Schnorr signature)",
}


def engine_rule(reason: str | None) -> str:
    """Which of the rules above the engine's reason names."""
    return "connects" if reason is None else next(rule for rule in MEMPOOL_WORDS if rule in reason)


def mempool_reason(node: EmbeddedNode, transaction: Transaction) -> str | None:
    try:
        node.test(transaction)
    except TransactionRejected as refusal:
        return refusal.reason
    return None
