"""Valid terms, and a way to change any of their members."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from coordinator_core.competition.documents import convert_strict
from coordinator_core.competition.terms import Terms

VALID = json.loads((Path(__file__).parents[3] / "vectors" / "terms.json").read_text())["terms"]

MakeTerms = Callable[..., Terms]


def place(document: dict[str, Any], path: str, value: Any) -> None:
    *parents, name = path.split(".")
    for parent in parents:
        document = document[parent]
    document[name] = value


@pytest.fixture(scope="session")
def terms_document() -> Callable[..., dict[str, Any]]:
    """A fresh copy of valid terms as JSON values, with members replaced: {"money.entry_fee": 1}."""

    def make(changes: dict[str, Any] | None = None) -> dict[str, Any]:
        document = copy.deepcopy(VALID)
        for path, value in (changes or {}).items():
            place(document, path, value)
        return document

    return make


@pytest.fixture(scope="session")
def make_terms(terms_document: Callable[..., dict[str, Any]]) -> MakeTerms:
    """Terms with members replaced. The contract's binding follows the weights unless it is set."""

    def make(changes: dict[str, Any] | None = None) -> Terms:
        document = terms_document(changes)
        if "contract.outcome_bound_splits" not in (changes or {}):
            document["contract"]["outcome_bound_splits"] = len(document["money"]["weights"]) > 1
        return convert_strict(document, Terms, "terms")

    return make


@pytest.fixture
def terms(make_terms: MakeTerms) -> Terms:
    return make_terms()


@pytest.fixture
def raw_terms(terms: Terms) -> bytes:
    return msgspec.json.encode(terms, order="sorted")
