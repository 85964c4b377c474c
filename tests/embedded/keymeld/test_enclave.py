"""Enclaves do not trust the gateway: commands that skip its checks are refused (keymeld section 4.8)."""

from __future__ import annotations

from types import SimpleNamespace

import msgspec
import pytest

from coordinator.embedded.keymeld.authorization.approval import ParticipantApproval
from coordinator.embedded.keymeld.enclave.commands import InitSigning
from coordinator.embedded.keymeld.enclave.peers import seal_own_registrations
from coordinator.embedded.keymeld.errors import EnclaveRejected
from coordinator.embedded.keymeld.gateway.fleet import own_registrations
from coordinator.embedded.keymeld.gateway.wire import SigningRequest
from coordinator_core.secp256k1 import SecretKey

MESSAGE = b"\x21" * 32


def changed(struct, **fields):
    copied = type(struct)(**{name: getattr(struct, name) for name in struct.__struct_fields__})
    for name, value in fields.items():
        msgspec.structs.force_setattr(copied, name, value)
    return copied


@pytest.fixture
async def party(make_party):
    return await make_party().completed()


def signing_command(party, *, approvals):
    body = party.signing_body([party.item(MESSAGE)])
    request = msgspec.convert(body, SigningRequest)
    return InitSigning(
        keygen_session_id=party.keygen_id,
        signing_session_id=request.signing_session_id,
        timeout_secs=request.timeout_secs,
        authorization=request.signing_authorization,
        batch=request.batch(),
        approvals=msgspec.convert([party.approval(user, body) for user in approvals], list[ParticipantApproval]),
    )


@pytest.fixture
def enclaves(gateway):
    return list(gateway.services.fleet.enclaves.values())


async def test_both_enclaves_demand_every_approval(party, enclaves):
    for enclave in enclaves:
        with pytest.raises(EnclaveRejected, match="has not approved"):
            enclave.init_signing(signing_command(party, approvals=party.players[:2]))
        with pytest.raises(EnclaveRejected, match="occurs twice"):
            enclave.init_signing(signing_command(party, approvals=[*party.players, party.players[0]]))
        assert enclave.init_signing(signing_command(party, approvals=party.players))


async def test_both_enclaves_check_freshness_by_their_own_clock(party, enclaves, clock):
    command = signing_command(party, approvals=party.players)
    clock.now += 301
    for enclave in enclaves:
        with pytest.raises(EnclaveRejected, match="outside its validity"):
            enclave.init_signing(command)


async def test_both_enclaves_check_batch_signature_and_timeout(party, enclaves):
    command = signing_command(party, approvals=party.players)
    other = signing_command(party, approvals=party.players)
    for enclave in enclaves:
        with pytest.raises(EnclaveRejected, match="batch signature"):
            enclave.init_signing(changed(command, authorization=other.authorization))
        with pytest.raises(EnclaveRejected, match="timeout_secs"):
            enclave.init_signing(changed(command, timeout_secs=601))
        with pytest.raises(EnclaveRejected, match="is empty"):
            enclave.init_signing(changed(command, batch=[]))


async def test_an_item_id_twice_is_refused_even_when_it_is_authorized(party, enclaves):
    item = party.item(MESSAGE)
    body = party.signing_body([item, item])
    request = msgspec.convert(body, SigningRequest)
    approvals = msgspec.convert([party.approval(u, body) for u in party.players], list[ParticipantApproval])
    command = changed(
        signing_command(party, approvals=party.players),
        signing_session_id=request.signing_session_id,
        authorization=request.signing_authorization,
        batch=request.batch(),
        approvals=approvals,
    )
    with pytest.raises(EnclaveRejected, match="item id occurs twice"):
        enclaves[0].init_signing(command)


async def test_a_signing_session_makes_nonces_once(party, enclaves):
    command = signing_command(party, approvals=party.players)
    nonces = {enclave.enclave_id: enclave.init_signing(command) for enclave in enclaves}
    with pytest.raises(EnclaveRejected, match="already used"):
        enclaves[0].init_signing(command)
    enclaves[0].sign(command.signing_session_id, nonces)
    with pytest.raises(EnclaveRejected, match="no unused nonces"):
        enclaves[0].sign(command.signing_session_id, nonces)
    enclaves[0].close_signing(command.signing_session_id)
    with pytest.raises(EnclaveRejected, match="not known"):
        enclaves[0].sign(command.signing_session_id, nonces)
    with pytest.raises(EnclaveRejected, match="already used"):
        enclaves[0].init_signing(command)


async def test_nonces_of_another_session_or_enclave_are_refused(party, enclaves):
    first, second = (signing_command(party, approvals=party.players) for _ in range(2))
    one = {enclave.enclave_id: enclave.init_signing(first) for enclave in enclaves}
    two = {enclave.enclave_id: enclave.init_signing(second) for enclave in enclaves}
    with pytest.raises(EnclaveRejected, match="another session or enclave"):
        enclaves[0].sign(first.signing_session_id, two)
    with pytest.raises(EnclaveRejected, match="another session or enclave"):
        enclaves[1].sign(second.signing_session_id, {0: two[1], 1: two[0]})
    assert one


async def test_every_enclave_has_to_send_its_nonces(party, enclaves):
    command = signing_command(party, approvals=party.players)
    nonces = {enclave.enclave_id: enclave.init_signing(command) for enclave in enclaves}
    with pytest.raises(EnclaveRejected, match="enclave 1 is missing"):
        enclaves[0].sign(command.signing_session_id, {0: nonces[0]})


async def test_only_the_coordinators_enclave_makes_the_roster(party, enclaves):
    home = party.reserved["coordinator_enclave_id"]
    with pytest.raises(EnclaveRejected, match="not the coordinator's enclave"):
        enclaves[1 - home].complete_keygen(party.keygen_id)


async def test_an_unknown_session_fails_closed(make_party, party, enclaves):
    command = changed(signing_command(party, approvals=party.players), keygen_session_id=make_party().keygen_id)
    with pytest.raises(EnclaveRejected, match="not known"):
        enclaves[0].init_signing(command)


@pytest.fixture
async def opening(make_party, gateway):
    """A party that collects, its record, and the command that opened the coordinator's enclave."""
    party = await make_party(players=4).collecting()
    record = gateway.services.keygens.get(party.keygen_id)
    home = record.coordinator_enclave
    command = gateway.services.fleet.init_command(record, home, record.sealed_secrets[home])
    return party, record, command, gateway.services.fleet.get(home)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("coordinator_user_id", None),
        ("expected_participants", []),
        ("timeout_secs", 1),
        ("encrypted_taproot_tweak", "00"),
        ("subset_definitions", []),
        ("enclave_public_keys", {}),
        ("encrypted_session_secret", "00" * 93),
    ],
)
async def test_a_session_opens_only_as_the_manifest_says(opening, field, value):
    _party, record, command, enclave = opening
    enclave.drop_keygen(record.id)
    with pytest.raises(EnclaveRejected, match=field):
        enclave.init_keygen(changed(command, **{field: value}))
    enclave.init_keygen(command)


async def test_an_enclave_verifies_the_creators_signatures_itself(opening):
    _party, record, command, enclave = opening
    enclave.drop_keygen(record.id)
    for field in ("manifest", "recipients"):
        forged = changed(getattr(command, field), signature=[1] * 64)
        with pytest.raises(EnclaveRejected):
            enclave.init_keygen(changed(command, **{field: forged}))
    substituted = changed(command.recipients, user_enclave_assignments=dict.fromkeys(record.expected, 0))
    with pytest.raises(EnclaveRejected):
        enclave.init_keygen(changed(command, recipients=substituted))
    enclave.init_keygen(command)


async def test_a_session_opens_once(opening):
    _party, _record, command, enclave = opening
    with pytest.raises(EnclaveRejected, match="already open"):
        enclave.init_keygen(command)


async def test_the_coordinator_is_named_on_its_own_enclave_only(opening, gateway):
    _party, record, command, home = opening
    other = gateway.services.fleet.get(1 - home.enclave_id)
    other.drop_keygen(record.id)
    misplaced = changed(command, encrypted_session_secret=record.sealed_secrets[other.enclave_id])
    with pytest.raises(EnclaveRejected, match="coordinator_user_id"):
        other.init_keygen(misplaced)


async def test_participants_are_taken_once_by_their_own_enclave(opening, gateway):
    party, record, _command, home = opening
    assigned = record.assignments.users
    absent = next(user for user in party.players if assigned[user] == home.enclave_id)
    for user in party.users:
        if user != absent:
            await party.register(user)
    participants = gateway.services.keygens.participants(record.id)
    own = own_registrations(record, participants, home.enclave_id)
    foreign = own_registrations(record, participants, 1 - home.enclave_id)
    with pytest.raises(EnclaveRejected, match="assigned to another enclave"):
        home.add_participants(record.id, foreign)
    home.add_participants(record.id, own)
    with pytest.raises(EnclaveRejected, match="already registered"):
        home.add_participants(record.id, own[:1])
    with pytest.raises(EnclaveRejected, match="is missing"):
        home.complete_keygen(record.id)


async def test_peers_are_told_by_their_own_enclave_only(opening, gateway, make_party):
    party, record, _command, home = opening
    other = gateway.services.fleet.get(1 - home.enclave_id)
    for user in party.users[:-1]:
        await party.register(user)
    participants = gateway.services.keygens.participants(record.id)
    told = home.add_participants(record.id, own_registrations(record, participants, home.enclave_id))
    sealed = told[other.enclave_id]
    with pytest.raises(EnclaveRejected, match="does not decrypt"):
        home.add_peers(record.id, [sealed])
    flipped = sealed[:-1] + ("0" if sealed[-1] != "0" else "1")
    with pytest.raises(EnclaveRejected, match="does not decrypt"):
        other.add_peers(record.id, [flipped])
    impostor = SimpleNamespace(enclave_id=home.enclave_id, key=SecretKey.generate())
    forged = seal_own_registrations(home._sessions[record.id], impostor)[other.enclave_id]
    with pytest.raises(EnclaveRejected, match="peer enclave signature"):
        other.add_peers(record.id, [forged])
    second = await make_party().collecting()
    with pytest.raises(EnclaveRejected, match="another session"):
        other.add_peers(second.keygen_id, [sealed])
    other.add_peers(record.id, [sealed])
    with pytest.raises(EnclaveRejected, match="already registered"):
        other.add_peers(record.id, [sealed])


async def test_secrets_do_not_show(party, enclaves):
    session = enclaves[0]._sessions[party.keygen_id]
    shown = repr(vars(session))
    assert party.session_secret.hex() not in shown
    assert repr(party.session_secret) not in shown
    for key in party.keys.values():
        assert repr(list(key.reveal())) not in shown
        assert repr(key.reveal()) not in shown
