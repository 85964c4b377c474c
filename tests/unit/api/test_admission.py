"""How much one address and one key may ask for."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from litestar.datastructures import Headers

from coordinator.api.admission import MONEY, Admission, Buckets, Limits, Rate, TooManyRequests
from coordinator.api.auth import REMEMBERED, WINDOW_SECONDS, ReplayMemory
from coordinator.domain.competitions.states import CollectingEntries
from coordinator_core.competition.terms import Terms
from coordinator_core.errors import InvalidInput
from coordinator_core.nostr.nip98 import WINDOW_SECONDS as SIGNED_WINDOW
from coordinator_core.units import UnixTime
from tests.support.asgi import ask
from tests.unit.api.conftest import House, open_house

COST = MONEY["cost"]


class Seconds:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    clock = Seconds()
    buckets = Buckets(Rate(per_second=2.0, burst=10), 10, clock)
    assert [buckets.take("a", 1) for _ in range(11)] == [0] * 10 + [1]
    clock.now = 0.5
    assert [buckets.take("a", 1) for _ in range(2)] == [0, 1]
    assert buckets.take("a", 5) == 3
    clock.now = 3.0
    assert buckets.take("a", 5) == 0
    clock.now = 1_000.0
    assert [buckets.take("a", 5) for _ in range(3)] == [0, 0, 3]


def test_a_bucket_that_is_full_again_is_forgotten() -> None:
    clock = Seconds()
    buckets = Buckets(Rate(per_second=2.0, burst=10), 10, clock)
    for name in "abc":
        assert buckets.take(name, 10) == 0
        clock.now += 1.0
    assert len(buckets) == 3
    clock.now = 5.5
    # "a" was emptied at 0 s, "b" at 1 s and touched again: after five seconds "a" alone is full.
    assert buckets.take("b", 9) == 0
    assert len(buckets) == 2
    assert buckets.take("b", 1) == 1
    assert buckets.take("a", 10) == 0


def test_what_is_refused_costs_nothing() -> None:
    clock = Seconds()
    buckets = Buckets(Rate(per_second=1.0, burst=5), 10, clock)
    assert [buckets.take("a", 5) for _ in range(9)] == [0] + [5] * 8
    clock.now = 5.0
    assert buckets.take("a", 5) == 0


def test_keys_do_not_share_and_the_number_of_them_does_not_grow() -> None:
    buckets = Buckets(Rate(per_second=0.001, burst=5), 3, Seconds())
    for name in "abc":
        assert buckets.take(name, 5) == 0
    assert buckets.take("a", 5) > 0
    assert buckets.take("d", 5) == 0
    assert len(buckets) == 3
    # The one not seen for longest was forgotten, not the one that asks all the time.
    assert buckets.take("a", 5) > 0
    assert buckets.take("b", 5) == 0


@pytest.mark.parametrize("rate", [(0.0, 10), (-1.0, 10), (float("nan"), 10), (float("inf"), 10), (1.0, COST - 1)])
def test_rates_that_let_nobody_in_are_refused(rate: tuple[float, int]) -> None:
    with pytest.raises(InvalidInput, match="limits"):
        Rate(*rate)


@pytest.mark.parametrize(
    ("proxies", "peer", "forwarded", "who"),
    [
        ((), "192.0.2.1", ["198.51.100.7"], "192.0.2.1"),
        (["10.0.0.0/8"], "192.0.2.1", ["198.51.100.7"], "192.0.2.1"),
        (["10.0.0.0/8"], "10.1.1.1", ["198.51.100.7"], "198.51.100.7"),
        (["10.0.0.0/8"], "10.1.1.1", [], "10.1.1.1"),
        (["10.0.0.0/8"], "10.1.1.1", ["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
        (["10.0.0.0/8"], "10.1.1.1", ["203.0.113.9", "198.51.100.7"], "198.51.100.7"),
        (["10.0.0.0/8"], "10.1.1.1", ["198.51.100.7, 10.2.2.2"], "198.51.100.7"),
        (["10.0.0.0/8"], "10.1.1.1", ["198.51.100.7, nobody"], "10.1.1.1"),
        (["127.0.0.1"], "::ffff:127.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ((), "2001:db8:1:2:3:4:5:6", [], "2001:db8:1:2::/64"),
        ((), "unix", [], "unix"),
    ],
)
def test_the_address_is_the_peer_s_unless_a_trusted_proxy_names_another(
    proxies: Sequence[str], peer: str, forwarded: list[str], who: str
) -> None:
    headers = Headers([(b"x-forwarded-for", line.encode()) for line in forwarded])
    connection: Any = SimpleNamespace(client=SimpleNamespace(host=peer), headers=headers)
    assert Admission(Limits(trusted_proxies=proxies)).client(connection) == who


def test_a_local_socket_has_one_bucket() -> None:
    connection: Any = SimpleNamespace(client=None, headers=Headers())
    assert Admission(Limits()).client(connection) == ""


def test_a_proxy_that_is_no_address_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no address or network"):
        Admission(Limits(trusted_proxies=["proxy.example"]))


CLOCK = Seconds()


@pytest.fixture
async def narrow(new_database: Path, terms: Terms, built: Path) -> AsyncGenerator[House]:
    """A house that takes 20 reads of an address and 10 of a key at once, and one a second after that."""
    CLOCK.now = 0.0
    limits = Limits(address=Rate(1.0, 20), player=Rate(1.0, 10), trusted_proxies=["127.0.0.1"])
    async with open_house(new_database, terms, built, admission=Admission(limits, CLOCK)) as opened:
        yield opened


async def test_an_address_is_told_when_to_come_back(narrow: House) -> None:
    answers = [await ask(narrow.application, "GET", "/api/v1/competitions") for _ in range(21)]
    assert [answer.status for answer in answers] == [200] * 20 + [429]
    refused = answers[-1]
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["retry-after"] == "1"
    assert refused.json()["code"] == "requests.too_many"
    for path in ("/", "/api/v1/status", "/api/v1/operator/identity"):
        assert (await ask(narrow.application, "GET", path)).status == 429
    other = await ask(narrow.application, "GET", "/api/v1/competitions", client="192.0.2.2")
    assert other.status == 200
    CLOCK.now = 1.0
    assert (await ask(narrow.application, "GET", "/api/v1/competitions")).status == 200


async def test_people_get_a_page_that_says_so(narrow: House) -> None:
    html = [(b"accept", b"text/html")]
    pages = [await ask(narrow.application, "GET", "/", html) for _ in range(21)]
    assert pages[-1].status == 429
    assert b"<h1>Too many requests</h1>" in pages[-1].body
    assert pages[-1].headers["retry-after"] == "1"


async def test_a_proxy_s_word_counts_only_where_it_is_trusted(narrow: House) -> None:
    def named(number: int) -> list[tuple[bytes, bytes]]:
        return [(b"x-forwarded-for", f"198.51.100.{number}".encode())]

    path = "/api/v1/status"
    trusted = [(await ask(narrow.application, "GET", path, named(n), client="127.0.0.1")).status for n in range(25)]
    assert trusted == [200] * 25
    invented = [(await ask(narrow.application, "GET", path, named(n))).status for n in range(25)]
    assert invented == [200] * 20 + [429] * 5


async def test_a_key_is_limited_wherever_it_asks_from_and_what_costs_weighs_more(narrow: House) -> None:
    lane = await narrow.competition(CollectingEntries(terms_hash="00"))
    path = f"/api/v1/competitions/{lane}/entries"
    before = await narrow.rows()
    statuses = []
    for number in range(3):
        address = {"x_forwarded_for": f"198.51.100.{number}"}
        statuses.append((await narrow.signed("POST", path, b"%d" % number, **address)).status_code)
    assert statuses == [201, 201, 429]
    assert (await narrow.rows())["fact"] == before["fact"] + 2
    other = await narrow.signed("POST", path, player=1, x_forwarded_for="198.51.100.9")
    assert other.status_code == 201


async def test_a_stranger_cannot_use_up_another_s_share(narrow: House) -> None:
    lane = await narrow.competition(CollectingEntries(terms_hash="00"))
    path = f"/api/v1/competitions/{lane}/entries"
    for number in range(20):
        headers = {"authorization": f"Nostr {number}", "x-forwarded-for": f"198.51.100.{number}"}
        assert (await narrow.browser.post(path, headers=headers)).status_code == 401
    assert (await narrow.signed("POST", path, x_forwarded_for="198.51.100.99")).status_code == 201


def test_a_proof_is_remembered_for_as_long_as_it_could_be_used_again() -> None:
    assert WINDOW_SECONDS > 2 * SIGNED_WINDOW
    memory, proof = ReplayMemory(), b"p" * 32
    memory.claim(proof, UnixTime(1_000))
    with pytest.raises(InvalidInput, match="used before"):
        memory.claim(proof, UnixTime(1_000 + 2 * SIGNED_WINDOW))
    memory.claim(b"q" * 32, UnixTime(1_000 + WINDOW_SECONDS + 1))
    memory.claim(proof, UnixTime(1_000 + WINDOW_SECONDS + 1))


def test_no_proof_is_accepted_that_cannot_be_remembered() -> None:
    memory = ReplayMemory()
    for number in range(REMEMBERED):
        memory.claim(number.to_bytes(32, "big"), UnixTime(1_000))
    with pytest.raises(TooManyRequests) as refused:
        memory.claim(b"\xff" * 32, UnixTime(1_010))
    assert refused.value.seconds == WINDOW_SECONDS - 9
    memory.claim(b"\xff" * 32, UnixTime(1_010 + refused.value.seconds))
