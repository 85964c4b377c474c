"""Built frontend files: names that carry a hash of their content, so a browser may keep them for ever."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec
from litestar import Router
from litestar.datastructures import CacheControlHeader
from litestar.static_files import create_static_files_router

from coordinator import resources
from coordinator_core.errors import CoreError, Fault

FRONTEND: Final = resources.directory("frontend")
"""Templates and built files."""
TEMPLATES: Final = FRONTEND / "templates"
BUILT: Final = FRONTEND / "static"
PREFIX: Final = "/static"
A_YEAR: Final = 31_536_000


class NotBuilt(CoreError):
    """The frontend was not built, or without this file."""

    code = "frontend.not_built"
    fault = Fault.COORDINATOR


class Assets:
    """The manifest of one build. Read once it is there; until then every look-up says what is missing."""

    def __init__(self, directory: Path = BUILT) -> None:
        self._directory = directory
        self._names: dict[str, str] | None = None

    def url(self, name: str) -> str:
        """Address of a built file by its source name ("site.css"). Raises NotBuilt."""
        if self._names is None:
            self._names = self._read()
        built = self._names.get(name)
        if built is None:
            raise NotBuilt(f"the built frontend has no {name}: run `./dev build`")
        return f"{PREFIX}/{built}"

    def _read(self) -> dict[str, str]:
        try:
            return msgspec.json.decode((self._directory / "manifest.json").read_bytes(), type=dict[str, str])
        except FileNotFoundError:
            raise NotBuilt("the frontend is not built: run `./dev build`") from None
        except msgspec.DecodeError as error:
            raise NotBuilt(f"the frontend's manifest cannot be read ({error}): run `./dev build`") from error

    def router(self) -> Router:
        """Serves the built files, which never change under one name."""
        forever = CacheControlHeader(public=True, max_age=A_YEAR, immutable=True, no_transform=True)
        return create_static_files_router(PREFIX, [self._directory], cache_control=forever)
