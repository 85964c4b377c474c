"""Request bodies: media type, gzip, size, strict decoding; path ids."""

from __future__ import annotations

import re
import zlib
from typing import TypeVar

import msgspec
from litestar import Request

from coordinator.embedded.keymeld.errors import PlainTextError
from coordinator.embedded.keymeld.limits import BODY_BYTES

_T = TypeVar("_T")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


async def read_body(request: Request, kind: type[_T]) -> _T:
    """The decoded body. Raises PlainTextError: 415 media type, 413 size, 400 bad JSON or gzip, 422 wrong shape."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise PlainTextError(415, "Expected request with `Content-Type: application/json`")
    data = _plain(await request.body(), request.headers.get("content-encoding", "identity").lower())
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise PlainTextError(422, f"Failed to deserialize the JSON body: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PlainTextError(400, f"Failed to parse the request body as JSON: {error}") from None


def path_uuid(value: str) -> str:
    """A lowercase, hyphenated UUID from the path. Raises PlainTextError."""
    if _UUID.fullmatch(value) is None:
        raise PlainTextError(400, "Invalid URL: expected a lowercase hyphenated UUID")
    return value


def _plain(data: bytes, encoding: str) -> bytes:
    if encoding == "identity":
        return data
    if encoding != "gzip":
        raise PlainTextError(415, "Expected `Content-Encoding: gzip` or none")
    decoder = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        # The bound holds while decompressing: a small body cannot fill the memory.
        plain = decoder.decompress(data, BODY_BYTES)
    except zlib.error as error:
        raise PlainTextError(400, f"Failed to decompress the request body: {error}") from None
    if decoder.unconsumed_tail:
        raise PlainTextError(413, "length limit exceeded")
    if not decoder.eof:
        raise PlainTextError(400, "Failed to decompress the request body: it ends early")
    return plain
