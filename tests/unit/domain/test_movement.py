"""No consumed state is used again: at run time by the token, in the source by the movement linter."""

import ast
import copy
import pickle
from pathlib import Path

import msgspec
import pytest

from coordinator.domain import facts as f
from coordinator.domain.competitions import states as s
from coordinator.domain.typestate import State, StateConsumed
from coordinator_core.errors import Misuse
from tests.support import lanes as b
from tools.movecheck import check, check_tree, consuming_methods, state_types

ROOT = Path(__file__).parents[3]
TRANSITIONS = frozenset({"publish", "give_up"})

BAD = {
    "twice": "def f(s):\n    s.publish('h')\n    s.give_up('r')",
    "read after": "def f(s):\n    n = s.publish('h')\n    return s.terms_hash",
    "passed on": "def f(s):\n    n = s.publish('h')\n    g(s)",
    "one branch": "def f(s):\n    if x:\n        s.publish('h')\n    return s",
    "one case": "def f(s):\n    match x:\n        case 1:\n            s.publish('h')\n    return s",
    "loop": "def f(s):\n    for _ in range(2):\n        s.publish('h')",
    "while": "def f(s):\n    while x:\n        s.publish('h')",
    "attribute": "def f(o):\n    o.state.publish('h')\n    return o.state",
    "field of a moved one": "def f(s):\n    s.publish('h')\n    s.roster.count(1)",
    "argument of itself": "def f(s):\n    g(s.publish('h'), s)",
    "with": "def f(s):\n    with x:\n        s.publish('h')\n    return s",
    "after try": "def f(s):\n    try:\n        s.publish('h')\n    finally:\n        g()\n    return s",
    "async": "async def f(s):\n    s.publish('h')\n    await g(s)",
    "conditional expression": "def f(s):\n    n = s.publish('h') if x else None\n    return s",
    "in an f-string": "def f(s):\n    s.publish('h')\n    return f'{s}'",
    "after a break": "def f(s):\n    for _ in x:\n        s.publish('h')\n        break\n    return s",
    "after a continue": "def f(s):\n    for _ in x:\n        if y:\n            s.publish('h')\n            continue",
    "endless loop": "def f(s):\n    while True:\n        if x:\n            s.publish(1)\n            break\n    g(s)",
    "finally": "def f(s):\n    try:\n        return s.publish('h')\n    finally:\n        g(s)",
    "handler after a nested move": (
        "def f(s):\n    try:\n        if x:\n            s.publish(1)\n            g()\n    except E:\n        g(s)"
    ),
    "second name": "def f(s):\n    t = s\n    s.publish('h')\n    t.give_up('r')",
    "through the second name": "def f(s):\n    t = s\n    t.publish('h')\n    return s",
    "captured": "def f(s):\n    match s:\n        case A() as t:\n            t.publish('h')\n            return s",
    "comprehension": "def f(s):\n    return [s.publish('h') for _ in x]",
    "late lambda": "def f(s):\n    s.publish('h')\n    return lambda: s",
    "either operand": "def f(s):\n    x and s.publish('h')\n    return s",
}

GOOD = {
    "returned": "def f(s):\n    return s.publish('h')",
    "one of two": "def f(s):\n    if x:\n        return s.publish('h')\n    return s.give_up('r')",
    "either": "def f(s):\n    return s.publish('h') if x else s.give_up('r')",
    "rebound": "def f(s):\n    for _ in range(2):\n        s = s.publish('h').state\n    return s",
    "rebound attribute": "def f(o):\n    o.state = o.state.publish('h').state\n    return o.state",
    "rebound owner": "def f(o):\n    o.state.publish('h')\n    o = g()\n    return o.state",
    "cases": "def f(s):\n    match x:\n        case 1:\n            return s.publish(1)\n    return s.give_up(1)",
    "before": "def f(s):\n    r = s.roster\n    return s.publish(r), r",
    "raised in between": "def f(s):\n    if x:\n        s.publish('h')\n        raise E\n    return s",
    "refused in a try": "def f(s):\n    try:\n        return s.publish(1)\n    except E:\n        return s.give_up(1)",
    "another name": "def f(s, t):\n    s.publish('h')\n    return t",
    "another function": "def f(s):\n    s.publish('h')\ndef g(s):\n    return s",
    "left the loop before": "def f(s):\n    for _ in x:\n        if y:\n            return s.publish(1)\n    return s",
    "rebound before a break": (
        "def f(s):\n    while True:\n        s = s.publish('h').state\n        if x:\n            break\n    return s"
    ),
    "second name bound again": "def f(s):\n    t = s\n    t = g()\n    t.publish('h')\n    return s",
    "finally that does not look": "def f(s):\n    try:\n        return s.publish('h')\n    finally:\n        g()",
    "captured in one case": (
        "def f(s):\n    match s:\n        case A() as t:\n            return t.publish('h')\n    return s.give_up('r')"
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_linter_finds(name: str) -> None:
    assert check(ast.parse(BAD[name]), TRANSITIONS)


@pytest.mark.parametrize("name", GOOD)
def test_linter_is_silent(name: str) -> None:
    assert check(ast.parse(GOOD[name]), TRANSITIONS) == []


def test_linter_names_line_and_place() -> None:
    assert [str(use) for use in check(ast.parse(BAD["twice"]), TRANSITIONS)] == ["line 3: s was consumed on line 2"]


def test_transitions_are_those_with_the_decorator() -> None:
    source = (
        "class A:\n    @consumes\n    def a(self): ...\n    def b(self): ...\n    @consumes\n    async def c(self): ..."
    )
    assert consuming_methods([ast.parse(source)]) == {"a", "c"}


def test_the_product_uses_no_state_after_a_transition_took_it() -> None:
    states = [ast.parse(path.read_text()) for path in (ROOT / "coordinator" / "domain").rglob("*.py")]
    assert {"publish", "give_up", "broadcast", "split", "everything_returned"} <= consuming_methods(states)
    assert {"Created", "Returning", "Opening", "Settling", "Competition", "Settled"} <= state_types(states)
    assert check_tree(ROOT / "coordinator") == []


def test_only_names_that_hold_a_state_count_in_the_product() -> None:
    types = frozenset({"Created"})
    source = (
        "def f(a: Created, b, o):\n    a.publish(1)\n    b.publish(1)\n    o.state.publish(1)\n    g(a, b, o.state)"
    )
    assert [use.name for use in check(ast.parse(source), TRANSITIONS, types)] == ["a", "o.state"]


def test_every_method_that_makes_a_step_consumes_its_state() -> None:
    for path in (ROOT / "coordinator" / "domain" / "competitions" / "states").glob("*.py"):
        classes = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)]
        for node in (member for found in classes for member in found.body):
            if isinstance(node, ast.FunctionDef) and node.returns is not None and "Step[" in ast.unparse(node.returns):
                assert [ast.unparse(d) for d in node.decorator_list] == ["consumes"], f"{path.name}: {node.name}"


def collecting() -> s.CollectingEntries:
    return s.CollectingEntries(terms_hash="h")


def test_second_transition_raises_and_says_which() -> None:
    state = collecting()
    state.close(b.ROSTER)
    assert state.consumed
    with pytest.raises(StateConsumed, match=r"CollectingEntries\.give_up on a consumed state"):
        state.give_up("r")


def test_next_state_is_fresh() -> None:
    step = collecting().close(b.ROSTER)
    assert not step.state.consumed
    assert step.state.holds_stand(b.ROSTER).state.roster == b.ROSTER


def test_refused_transition_did_not_happen() -> None:
    state = b.funding_ready()
    with pytest.raises(Misuse, match="not re-read"):
        state.broadcast(b.holds_read(1, lost=("entry-1",)))
    with pytest.raises(Misuse, match="not re-read"):
        state.broadcast(b.holds_read(2))
    assert not state.consumed
    assert state.broadcast(b.holds_read(1)).state == b.funding_broadcasted()


@pytest.mark.parametrize(
    ("state", "call"),
    [
        (b.awaiting_keygen(), lambda st: st.keys_verified(b.keygen(2))),
        (b.awaiting_signing(), lambda st: st.contract_signed(b.contract_signed(2))),
    ],
)
def test_evidence_of_another_attempt_is_refused(state: State, call) -> None:
    with pytest.raises(Misuse, match="of another attempt"):
        call(state)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps], ids=["copy", "deepcopy", "pickle"])
def test_state_cannot_be_duplicated(duplicate) -> None:
    with pytest.raises(StateConsumed):
        duplicate(collecting())


def test_state_cannot_be_replaced_field_by_field() -> None:
    with pytest.raises(StateConsumed):
        collecting().__replace__(terms_hash="x")


def test_state_is_frozen_and_its_token_is_not_stored() -> None:
    state = collecting()
    with pytest.raises(AttributeError):
        state.terms_hash = "x"  # type: ignore[misc]
    state.close(b.ROSTER)
    assert msgspec.json.decode(msgspec.json.encode(state)) == {"state": "collecting_entries", "terms_hash": "h"}


def test_ended_states_have_no_transition() -> None:
    for ended in (s.Completed, s.Cancelled, s.Failed):
        assert not [name for name in dir(ended) if hasattr(getattr(ended, name), "__consumes__")]


def test_facts_of_one_kind_have_one_tag() -> None:
    kinds = [kind.kind() for kind in f.AnyFact.__args__]
    assert len(set(kinds)) == len(kinds)
