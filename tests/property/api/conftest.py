"""The fixtures of the routes' unit tests, for properties of the same routes."""

from tests.unit.api.conftest import built, edge, terms, web
from tests.unit.conftest import migrated, new_database

__all__ = ["built", "edge", "migrated", "new_database", "terms", "web"]
