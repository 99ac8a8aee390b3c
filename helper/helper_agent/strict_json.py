"""NamedTuples as JSON and back

The reader is strict, since the sender may be hostile: no duplicate or unknown keys, no NaN, no number beyond 64 bits,
no nesting deeper than a schema has, exact types (a bool is not an int). NamedTuples rather than dataclasses, because
importing `dataclasses` costs a tenth of a second in an emulated guest.
"""

from __future__ import annotations

import json
import typing
from collections.abc import Iterable, Mapping
from types import NoneType, UnionType
from typing import Any, TypeVar, Union

INT_MAX = 2**63 - 1
FLOAT_MAX = 1e9
DEPTH_MAX = 16


class ProtocolError(Exception):
    """The other side broke the protocol; the message says how, without quoting more than a few escaped characters"""


T = TypeVar("T")


def plain(value: Any, limit: int) -> Any:
    """`value` as JSON types, every string cut to `limit` characters"""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: plain(getattr(value, name), limit) for name in value._fields}
    if isinstance(value, (tuple, list)):
        return [plain(item, limit) for item in value]
    if isinstance(value, Mapping):
        return {key: plain(item, limit) for key, item in value.items()}
    if isinstance(value, str) and len(value) > limit:
        return f"{value[: limit // 2]} [...] {value[-limit // 2 :]}"
    return value


def dumps(body: Any) -> bytes:
    """JSON in ASCII, in one line

    Raises:
        ValueError: a number that is not finite
    """
    return json.dumps(body, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode()


def parse(document: bytes) -> Any:
    """The value that a document has in it

    Raises:
        ProtocolError
    """
    try:
        text = document.decode("utf-8", "strict")
        return json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant, parse_int=_parse_int)
    except ProtocolError:
        raise
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ProtocolError(f"a message that is not JSON ({type(error).__name__})") from None


def _no_duplicates(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ProtocolError("a message with a duplicate key")
        result[key] = value
    return result


def _no_constant(_: str) -> Any:
    raise ProtocolError("a message with a number that is not finite")


def _parse_int(text: str) -> int:
    # int() of a long text is quadratic; 20 characters hold every 64-bit number
    if len(text) > 20 or abs(number := int(text)) > INT_MAX:
        raise ProtocolError("a number beyond 64 bits")
    del number
    return int(text)


_hints: dict[type, dict[str, Any]] = {}


def build(kind: type[T], body: Any, where: str) -> T:
    """`body` as the NamedTuple `kind`, every field checked

    Args:
        where: what to call it in an error

    Raises:
        ProtocolError
    """
    if not isinstance(body, dict):
        raise ProtocolError(f"{where} is not an object")
    hints = _hints.get(kind)
    if hints is None:
        hints = _hints[kind] = typing.get_type_hints(kind)
    if body.keys() != hints.keys():
        raise ProtocolError(f"{where} has unknown or missing keys")
    return kind(**{name: _value(hint, body[name], f"{where}.{name}", 0) for name, hint in hints.items()})


def _value(hint: Any, value: Any, where: str, depth: int) -> Any:
    if depth > DEPTH_MAX:
        raise ProtocolError(f"{where} is nested too deeply")
    origin = typing.get_origin(hint)
    if origin in (Union, UnionType):
        if value is None and NoneType in typing.get_args(hint):
            return None
        return _value(next(arm for arm in typing.get_args(hint) if arm is not NoneType), value, where, depth)
    if origin is tuple and isinstance(value, list):
        return tuple(_value(typing.get_args(hint)[0], item, where, depth + 1) for item in value)
    if origin is not None and issubclass(origin, Mapping) and isinstance(value, dict):
        arm = typing.get_args(hint)[1]
        return {key: _value(arm, item, where, depth + 1) for key, item in value.items()}
    if hint is Any:
        return value
    if hint is float and type(value) in (int, float) and abs(value) <= FLOAT_MAX:
        return float(value)
    if isinstance(hint, type) and hasattr(hint, "_fields"):
        return build(hint, value, where)
    if hint in (str, int, bool) and type(value) is hint:
        return value
    raise ProtocolError(f"{where} has the wrong type")
