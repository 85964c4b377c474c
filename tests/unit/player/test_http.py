"""What a hostile server can do below the level of JSON members: size, depth, encodings, addresses, time."""

import asyncio

import httpx
import msgspec
import pytest

from coordinator.player import http
from coordinator.player.answers import WrongAnswer, received_from
from coordinator.player.http import NoAnswer, ServerRefused, Service
from coordinator_core.errors import Fault, InvalidInput, VerificationFailed


class Shape(msgspec.Struct, frozen=True):
    number: int


def service(answer, **options):
    return Service("oracle", "http://replayed", fault=Fault.ORACLE, transport=httpx.MockTransport(answer), **options)


def answering(content, status=200, **headers):
    return service(lambda _: httpx.Response(status, content=content, headers=headers))


async def test_a_member_of_another_type_is_named_with_path_and_sender():
    with pytest.raises(WrongAnswer) as wrong:
        await answering(b'{"number":"7"}').read("/events/1?secret=x", Shape)
    assert wrong.value.what == "oracle /events/1: number"
    assert wrong.value.fault is Fault.ORACLE
    assert "secret" not in str(wrong.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"number":1', b"[" * 200_000, b'{"number":"\\ud800"}'])
async def test_what_is_no_json_is_a_wrong_answer(content):
    for kind in (Shape, object):
        with pytest.raises(WrongAnswer):
            await answering(content).read("/x", kind)


async def test_an_answer_is_read_only_up_to_its_limit():
    read = 0

    async def endless():
        nonlocal read
        while True:
            read += 1_000
            yield b" " * 1_000

    endless_service = service(lambda _: httpx.Response(200, content=endless()))
    with pytest.raises(WrongAnswer, match="longer than 5000 bytes"):
        await endless_service.read("/x", Shape, limit=5_000)
    assert read == 6_000
    with pytest.raises(WrongAnswer, match="longer than"):
        await endless_service.first_line("/x", {}, {})


async def test_an_answer_that_trickles_in_ends_with_the_time_for_all_of_it(monkeypatch):
    monkeypatch.setattr(http, "TOTAL_SECONDS", 0.01)

    async def trickle():
        while True:
            await asyncio.sleep(0.001)
            yield b" "

    with pytest.raises(NoAnswer, match="no whole answer"):
        await service(lambda _: httpx.Response(200, content=trickle())).read("/x", Shape)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"7",
        b'{"error":[]}',
        b'{"error":{"message":[1]}}',
        b'{"detail":{}}',
        b"\xff\xfe",
        b"[" * 200_000,
        b"x" * 200_000,
    ],
)
async def test_a_refusal_may_look_as_it_likes(content):
    with pytest.raises(ServerRefused) as refused:
        await answering(content, 418, **{"content-type": "text/plain; charset=hex"}).read("/x", Shape)
    assert refused.value.status == 418
    assert refused.value.fault is Fault.ORACLE
    assert len(str(refused.value)) < 1_500


@pytest.mark.parametrize("url", ["", "localhost:1", "ftp://x", "http://", "javascript:x", "//x", "http://x:99999999"])
def test_an_address_of_no_http_server_is_refused(url):
    with pytest.raises(InvalidInput, match="coordinator address"):
        Service("coordinator", url)


@pytest.mark.parametrize("host", ["[", "a" * 70, "a." * 200, "-"])
async def test_a_host_that_cannot_be_one_gives_no_answer(host):
    unreachable = Service("coordinator", f"http://{host}")
    with pytest.raises(NoAnswer):
        await unreachable.read("/x", Shape)
    await unreachable.close()


async def test_a_redirect_is_not_followed():
    with pytest.raises(ServerRefused):
        await answering(b"", 302, location="http://elsewhere").read("/x", Shape)


def test_errors_about_a_received_document_are_its_senders_fault():
    for given, wanted in ((Fault.CALLER, Fault.SIGNER), (Fault.PLAYER, Fault.SIGNER), (Fault.ORACLE, Fault.ORACLE)):
        with pytest.raises(VerificationFailed) as failed, received_from(Fault.SIGNER):
            raise VerificationFailed("x", "y", fault=given)
        assert failed.value.fault is wanted
