"""NIP-01 message by message: events verified and kept, filters, live delivery, limits, hostile input."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordinator.embedded.relay import limits

Sign = Callable[..., dict[str, Any]]
NOW = 1_800_000_000


@pytest.fixture
def client(talk: Callable[[], Any]) -> Any:
    return talk()


def test_an_event_is_kept_and_found(client: Any, event: Sign) -> None:
    made = event(content="ü \n \u0001", tags=[["t", "x"]])
    assert client.say("EVENT", made) == [["OK", made["id"], True, ""]]
    assert client.say("REQ", "a", {}) == [["EVENT", "a", made], ["EOSE", "a"]]


def test_a_duplicate_is_said_to_be_one(client: Any, event: Sign) -> None:
    made = event()
    client.say("EVENT", made)
    assert client.say("EVENT", made) == [["OK", made["id"], True, "duplicate: already have this event"]]
    assert client.ask({}) == [made["id"]]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "00" * 32),
        ("content", "changed"),
        ("created_at", 1),
        ("kind", 2),
        ("tags", [["p", "x"]]),
        ("pubkey", "11" * 32),
        ("sig", "00" * 64),
        ("sig", "zz" * 64),
        ("kind", 65_536),
        ("kind", True),
        ("created_at", -1),
        ("created_at", 1.5),
        ("tags", [[]]),
        ("tags", [[1]]),
        ("tags", "t"),
        ("content", 5),
        ("content", "\ud800"),
        ("extra", 1),
    ],
)
def test_a_changed_event_is_refused(client: Any, event: Sign, field: str, value: Any) -> None:
    made = event() | {field: value}
    [[kind, event_id, accepted, reason]] = client.say("EVENT", made)
    assert (kind, event_id, accepted) == ("OK", made["id"], False)
    assert reason.startswith("invalid: ")
    assert client.ask({}) == []


def test_another_keys_signature_is_refused(client: Any, event: Sign) -> None:
    made = event(0) | {"sig": event(1)["sig"]}
    assert client.say("EVENT", made) == [["OK", made["id"], False, "invalid: signature does not verify"]]


def test_an_event_of_the_future_is_refused(client: Any, event: Sign) -> None:
    late, later = event(created_at=NOW + 900), event(created_at=NOW + 901)
    assert client.say("EVENT", late)[0][2] is True
    assert client.say("EVENT", later)[0][2] is False


def test_content_has_a_limit_in_bytes(client: Any, event: Sign) -> None:
    fits, exceeds = event(content="ü" * 32_768), event(content="ü" * 32_768 + "x")
    assert client.say("EVENT", fits)[0][2] is True
    assert client.say("EVENT", exceeds)[0][2] is False


def test_filters(client: Any, event: Sign) -> None:
    recipient, other = "aa" * 32, "bb" * 32
    first = event(0, created_at=100, tags=[["p", recipient], ["t", "x"]])
    second = event(0, kind=1059, created_at=200, tags=[["p", other], ["t", "x"], ["tt", "long"]])
    third = event(1, created_at=300, tags=[["p", recipient]])
    for made in (first, second, third):
        client.say("EVENT", made)
    one, two, three = (made["id"] for made in (first, second, third))
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({}, [three, two, one]),
        ({"ids": [two]}, [two]),
        ({"authors": [first["pubkey"]]}, [two, one]),
        ({"kinds": [1059]}, [two]),
        ({"kinds": [1, 1059], "authors": [third["pubkey"]]}, [three]),
        ({"#p": [recipient]}, [three, one]),
        ({"#p": [recipient, other]}, [three, two, one]),
        ({"#p": [recipient], "#t": ["x"]}, [one]),
        ({"since": 200}, [three, two]),
        ({"until": 200}, [two, one]),
        ({"since": 200, "until": 200}, [two]),
        ({"limit": 1}, [three]),
        ({"limit": 0}, []),
        ({"ids": []}, []),
        ({"#t": []}, []),
    ]
    for wanted, found in cases:
        assert client.ask(wanted) == found, wanted
    assert client.ask({"ids": [one]}, {"kinds": [1]}) == [one, three]


def test_live_events_match_as_stored_ones_do(talk: Callable[[], Any], event: Sign) -> None:
    reader, writer = talk(), talk()
    reader.say("REQ", "mine", {"#p": ["aa" * 32], "kinds": [1059], "since": 100, "authors": [event(1)["pubkey"]]})
    reader.say("REQ", "never", {"limit": 0, "ids": ["00" * 32], "until": 5})
    wanted = event(1, kind=1059, tags=[["p", "aa" * 32]])
    for unwanted in (event(0, kind=1059, tags=[["p", "aa" * 32]]), event(1, kind=1059), event(1)):
        reader.heard.clear()
        writer.say("EVENT", unwanted)
        assert reader.heard == []
    writer.say("EVENT", wanted)
    assert reader.heard == [["EVENT", "mine", wanted]]
    writer.say("EVENT", wanted)
    assert len(reader.heard) == 1
    reader.say("CLOSE", "mine")
    writer.say("EVENT", event(1, kind=1059, content="2", tags=[["p", "aa" * 32]]))
    assert reader.heard == []


def test_one_who_left_hears_nothing(talk: Callable[[], Any], event: Sign) -> None:
    reader, writer = talk(), talk()
    reader.say("REQ", "all", {})
    reader.session.close()
    reader.heard.clear()
    writer.say("EVENT", event())
    assert reader.heard == []


@pytest.mark.parametrize(("kind", "tags"), [(0, []), (10_002, []), (30_000, [["d", "x"]])])
def test_the_newest_replaces(client: Any, event: Sign, kind: int, tags: Any) -> None:
    old, new = (event(kind=kind, tags=tags, created_at=time) for time in (100, 200))
    client.say("EVENT", old)
    client.say("EVENT", new)
    assert client.ask({}) == [new["id"]]
    assert client.say("EVENT", old)[0][3].startswith("duplicate: ")
    assert client.ask({}) == [new["id"]]


def test_of_equal_age_the_lower_id_stays(client: Any, event: Sign) -> None:
    low, high = sorted((event(kind=0, content=text) for text in "ab"), key=lambda item: item["id"])
    client.say("EVENT", high)
    client.say("EVENT", low)
    assert client.ask({}) == [low["id"]]
    client.say("EVENT", high)
    assert client.ask({}) == [low["id"]]


def test_other_addresses_are_left_alone(client: Any, event: Sign) -> None:
    events = [event(kind=30_000, tags=[["d", name]]) for name in ("x", "y")] + [event(1, kind=30_000)]
    for made in events:
        client.say("EVENT", made)
    assert set(client.ask({})) == {made["id"] for made in events}


def test_ephemeral_events_are_only_passed_on(talk: Callable[[], Any], event: Sign) -> None:
    reader, writer = talk(), talk()
    reader.say("REQ", "all", {})
    made = event(kind=20_001)
    assert writer.say("EVENT", made) == [["OK", made["id"], True, ""]]
    assert ["EVENT", "all", made] in reader.heard
    assert writer.ask({}) == []


@pytest.mark.parametrize(
    "wanted",
    [
        5,
        {"ids": "x"},
        {"ids": ["AB" * 32]},
        {"authors": ["11"]},
        {"kinds": ["1"]},
        {"kinds": [True]},
        {"since": -1},
        {"until": 1 << 60},
        {"limit": 1.5},
        {"#p": ["npub1"]},
        {"#t": [1]},
        {"search": "x"},
        {"#tt": ["x"]},
        {"kinds": [1] * 1_001},
    ],
)
def test_bad_filters_close_the_subscription(client: Any, wanted: Any) -> None:
    [[kind, name, reason]] = client.say("REQ", "a", wanted)
    assert (kind, name) == ("CLOSED", "a")
    assert reason.startswith("invalid: ")


def test_limits_of_subscriptions(client: Any) -> None:
    for number in range(limits.MAX_SUBSCRIPTIONS):
        assert client.say("REQ", str(number), {})[-1][0] == "EOSE"
    assert client.say("REQ", "one more", {})[0][2].startswith("rate-limited: ")
    assert client.say("REQ", "0", {"limit": 0}) == [["EOSE", "0"]]
    client.say("CLOSE", "0")
    assert client.say("REQ", "one more", {})[-1][0] == "EOSE"
    assert client.say("REQ", "1", *[{}] * (limits.MAX_FILTERS + 1))[0][0] == "CLOSED"
    assert client.say("REQ", "1")[0][0] == "CLOSED"


def test_the_limit_is_capped(client: Any, event: Sign, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_LIMIT", 2)
    for number in range(3):
        client.say("EVENT", event(content=str(number)))
    assert len(client.ask({"limit": 1_000_000})) == 2


@pytest.mark.parametrize(
    "message",
    [
        "", "{}", "[]", "[1]", "null", '["WHAT"]', '["EVENT"]', '["EVENT",1,2]', '["EVENT",{}]', '["REQ"]',
        '["REQ",5,{}]', '["REQ","",{}]', '["CLOSE"]', "[" * 100_000, '["REQ","\\ud800",{}]', "[NaN]",
        '["REQ","' + "x" * 65 + '",{}]', '["CLOSE",' + "9" * 5000 + "]", '["' + "x" * 140_000 + '"]',
    ],
)  # fmt: skip
def test_nonsense_gets_a_notice(client: Any, message: str) -> None:
    client.session.receive(message)
    assert [answer[0] for answer in client.heard] == ["NOTICE"]
    assert client.say("REQ", "still", {}) == [["EOSE", "still"]]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(["EVENT", "REQ", "CLOSE", "AUTH"]), arguments=st.lists(JSON, max_size=3))
def test_hostile_messages_are_answered(client: Any, kind: str, arguments: list[Any]) -> None:
    client.heard.clear()
    client.session.receive(json.dumps([kind, *arguments]))
    assert all(answer[0] in ("NOTICE", "OK", "CLOSED", "EOSE", "EVENT") for answer in client.heard)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    change=st.sampled_from(["id", "pubkey", "created_at", "kind", "tags", "content", "sig"]),
    value=JSON,
)
def test_no_field_can_be_replaced(client: Any, event: Sign, change: str, value: Any) -> None:
    made = event(content="signed")
    if value == made[change]:
        return
    answers = client.say("EVENT", made | {change: value})
    assert all(answer[0] == "NOTICE" or answer[2] is False for answer in answers)
