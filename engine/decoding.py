"""Typed decoding that any thread may use.

msgspec describes a type when the first decoder needs it. Up to version 0.22 a second thread that decodes the type in
that moment crashes the process, so the descriptions are made here, one at a time.
"""

from __future__ import annotations

import threading
from typing import Any, TypeVar, overload

import msgspec

T = TypeVar("T")

# what a decoder raises for bytes that are not what it reads; the last for lists that are nested without end
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

_describing = threading.Lock()
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


@overload
def json_decoder(kind: type[T], **options: Any) -> msgspec.json.Decoder[T]: ...
@overload
def json_decoder(kind: Any, **options: Any) -> msgspec.json.Decoder[Any]: ...
def json_decoder(kind: Any, **options: Any) -> msgspec.json.Decoder[Any]:
    """A decoder of JSON, made by one thread at a time. It raises `UNREADABLE`."""
    with _describing:
        return msgspec.json.Decoder(kind, **options)


def msgpack_decoder(kind: type[T], **options: Any) -> msgspec.msgpack.Decoder[T]:
    """The same for MessagePack."""
    with _describing:
        return msgspec.msgpack.Decoder(kind, **options)


def decode(body: bytes | memoryview | str, kind: type[T]) -> T:
    """JSON as this type, for what is read now and then. Raises `UNREADABLE`."""
    decoder: msgspec.json.Decoder[T] = _decoder(kind)
    return decoder.decode(body)


def convert(value: object, kind: type[T], strict: bool = True) -> T:
    """Plain values as this type. Raises msgspec.ValidationError."""
    _decoder(kind)
    return msgspec.convert(value, kind, strict=strict)


def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    known = _decoders.get(kind)
    if known is None:
        known = _decoders[kind] = json_decoder(kind)
    return known
