"""Files that are no code: in a checkout they stand beside the package, in a wheel inside of it."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def directory(name: str) -> Path:
    """Where `frontend` or `migrations` is; the directory itself may be missing where nothing was built."""
    installed = _PACKAGE / name
    return installed if installed.is_dir() else _PACKAGE.parent / name
