"""Fresh stories: one on a test network (one confirmation), one under mainnet terms (three)."""

import pytest

from tests.support.lanes import MAINNET, Story, terms_with


@pytest.fixture
def story() -> Story:
    return Story()


@pytest.fixture
def mainnet_story() -> Story:
    return Story(terms_with(MAINNET))
