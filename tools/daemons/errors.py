"""Why there are no daemons, in sentences for whoever called the recipe."""

from __future__ import annotations


class DaemonsError(Exception):
    """Base: the message is the whole explanation."""


class Missing(DaemonsError):
    """Tools or headers are not installed; `packages` are Debian's names of them."""

    def __init__(self, sentences: list[str], packages: list[str]) -> None:
        super().__init__("\n".join(sentences))
        self.packages = packages


class BuildFailed(DaemonsError):
    """A step of a build ended with an error."""

    def __init__(self, step: str, code: int, words: str) -> None:
        super().__init__(f"{step} ended with code {code}:\n{words}")
