import json
from uuid import UUID

import msgspec
import pytest

from coordinator_core.competition.entries import (
    DuplicateInEntry,
    EntryDocument,
    check_unique,
    sign_entry,
    verify_entry,
)
from coordinator_core.competition.picks import Choice, Pick, verify_opening
from coordinator_core.competition.player_keys import entry_key, entry_keys, payout_preimage, picks_salt, slot_key
from coordinator_core.errors import Fault, InvalidInput, InvalidSignature, VerificationFailed
from coordinator_core.nostr.event import Event, sign_event
from coordinator_core.secp256k1 import SecretKey, sha256
from coordinator_core.secret import Secret

ALICE, BOB = (SecretKey.from_bytes(bytes([n]) * 32) for n in (1, 2))
ROOT = Secret(bytes(range(32)))
ENTRY = UUID("01926f3a-0000-7000-8000-000000000001")
TICKET = bytes([9]) * 32
PICKS = [
    Pick(target="KORD", metric="temp_high", choice=Choice.OVER),
    Pick(target="KORD", metric="rain_amt", choice=Choice.PAR),
    Pick(target="KSAW", metric="rain_amt", choice=Choice.UNDER),
]


@pytest.fixture
def sign(terms):
    def run(**change):
        values = {
            "terms_hash": terms.hash,
            "entry_id": ENTRY,
            "ticket_hash": TICKET,
            "picks": PICKS,
            "created_at": 1_790_000_000,
        } | change
        identity, root = values.pop("identity", ALICE), values.pop("root", ROOT)
        return sign_entry(identity, root, **values)

    return run


@pytest.fixture
def verify(terms):
    def run(event, **change):
        values = {"terms_hash": terms.hash, "entry_id": ENTRY, "ticket_hash": TICKET, "author": ALICE.x_only} | change
        return verify_entry(event, **values)

    return run


def test_everything_follows_from_one_secret(sign, terms):
    entry = sign()
    assert entry.keys == tuple(key.public_key for key in entry_keys(ROOT, ENTRY))
    assert entry.key(8) == entry_key(ROOT, ENTRY, 8).public_key
    assert entry.payout_hash == sha256(payout_preimage(ROOT, ENTRY).reveal())
    assert entry.slot_key == slot_key(ROOT, ENTRY).public_key
    assert verify_opening(entry.commitment, ENTRY, picks_salt(ROOT, ENTRY).reveal(), PICKS, terms.observation)
    with pytest.raises(InvalidInput):
        entry.key(0)


def test_derivations_are_fixed_for_other_implementations():
    assert entry_key(ROOT, ENTRY, 1).reveal() == sha256(
        sha256(b"coordinator/entry-key/v1") * 2 + bytes(range(32)) + ENTRY.bytes + b"\x01\x00"
    )
    everything = {key.reveal() for key in entry_keys(ROOT, ENTRY)} | {
        slot_key(ROOT, ENTRY).reveal(),
        payout_preimage(ROOT, ENTRY).reveal(),
        picks_salt(ROOT, ENTRY).reveal(),
    }
    assert len(everything) == 11
    assert entry_key(ROOT, UUID(int=1), 1).public_key != entry_key(ROOT, ENTRY, 1).public_key
    for attempt in (0, 9):
        with pytest.raises(InvalidInput):
            entry_key(ROOT, ENTRY, attempt)
    with pytest.raises(InvalidInput):
        slot_key(Secret(bytes(31)), ENTRY)


def test_a_renewal_changes_nothing_but_the_ticket(sign):
    first, second = sign(), sign(ticket_hash=bytes([8]) * 32)
    assert msgspec.structs.asdict(first.document) | {"ticket_hash": "08" * 32} == msgspec.structs.asdict(
        second.document
    )
    check_unique(second, [first])


def test_an_entry_is_bound_to_terms_id_ticket_and_player(sign, verify):
    event = sign().event
    assert verify(event).id == ENTRY
    for change in (
        {"terms_hash": bytes(32)},
        {"entry_id": UUID(int=2)},
        {"ticket_hash": bytes(32)},
        {"author": BOB.x_only},
    ):
        with pytest.raises(VerificationFailed) as caught:
            verify(event, **change)
        assert caught.value.fault is Fault.PLAYER


def test_a_signature_is_needed(sign, verify):
    fields = msgspec.to_builtins(sign().event)
    with pytest.raises(InvalidSignature):
        verify(msgspec.convert(fields | {"sig": "00" * 64}, Event))


def resigned(sign, kind=8_701, spoil=None, text=None):
    document = json.loads(sign().event.content)
    if spoil:
        spoil(document)
    content = text or json.dumps(document, sort_keys=True, separators=(",", ":"))
    return sign_event(ALICE, kind, content, created_at=1_790_000_000)


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda d: d.update(more=1), InvalidInput),
        (lambda d: d.update(type="entry/v2"), InvalidInput),
        (lambda d: d["entry_keys"].pop(), InvalidInput),
        (lambda d: d["entry_keys"].append(d["slot_key"]), InvalidInput),
        (lambda d: d["entry_keys"].__setitem__(0, "02" + "00" * 32), InvalidInput),
        (lambda d: d.update(slot_key="04" + "00" * 32), InvalidInput),
        (lambda d: d.update(payout_hash="AB" * 32), InvalidInput),
        (lambda d: d["entry_keys"].__setitem__(7, d["entry_keys"][0]), DuplicateInEntry),
        (lambda d: d.update(slot_key=d["entry_keys"][3]), DuplicateInEntry),
        (
            lambda d: d.update(slot_key=("02" if d["entry_keys"][3][1] == "3" else "03") + d["entry_keys"][3][2:]),
            DuplicateInEntry,
        ),
        (lambda d: d.update(slot_key=ALICE.public_key.hex()), DuplicateInEntry),
        (lambda d: d.update(payout_hash=d["ticket_hash"]), DuplicateInEntry),
    ],
)
def test_malformed_and_reused_members_are_refused(sign, verify, spoil, error):
    with pytest.raises(error) as caught:
        verify(resigned(sign, spoil=spoil))
    assert caught.value.fault is Fault.PLAYER


def test_kind_and_canonical_form(sign, verify):
    assert verify(resigned(sign)).id == ENTRY
    with pytest.raises(VerificationFailed):
        verify(resigned(sign, kind=1))
    with pytest.raises(InvalidInput):
        verify(resigned(sign, text=json.dumps(json.loads(sign().event.content))))
    with pytest.raises(InvalidInput):
        verify(resigned(sign, text="{}"))


def test_no_key_or_hash_is_used_twice(sign):
    mine = sign()
    other_id = UUID("01926f3a-0000-7000-8000-000000000002")
    other = sign(identity=BOB, root=Secret(bytes([5]) * 32), entry_id=other_id, ticket_hash=bytes([7]) * 32)
    check_unique(mine, [other], [BOB.public_key])
    for field, value in (
        ("entry_keys", (other.document.slot_key, *mine.document.entry_keys[1:])),
        ("slot_key", other.document.entry_keys[5]),
        ("payout_hash", other.document.ticket_hash),
        ("ticket_hash", other.document.payout_hash),
        ("ticket_hash", other.document.ticket_hash),
    ):
        document = EntryDocument(**(msgspec.structs.asdict(mine.document) | {field: value}))
        with pytest.raises(DuplicateInEntry):
            check_unique(type(mine)(mine.event, document), [other])
    for own in (mine.key(4), mine.slot_key, mine.key(4)[1:]):
        with pytest.raises(DuplicateInEntry):
            check_unique(mine, [other], [own])
