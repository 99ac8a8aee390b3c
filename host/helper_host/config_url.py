"""The OS parameter `config_url`: a JSON object with further OS parameters, fetched when an instance is created

Whoever calls Ganeti overrides what the document says, and the document overrides the settings' defaults. snf-image has
it the other way round: there the document wins over `-O`, which nobody expects.

The node fetches it with root's rights for whoever may give parameters, so nothing of it is shown but the names of its
keys: neither of what turns out to be no such document, nor of its values.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from helper_host import documents
from helper_host.documents import Document
from helper_host.errors import ProviderError
from helper_host.log import printable

if TYPE_CHECKING:
    from helper_host.ganeti.parameters import Parameters
    from helper_host.image.sources import Places
    from helper_host.request import Request

SECONDS = 60.0
"""For the whole download."""
SIZE_MAX = 4 << 20
"""Bytes; a task, the largest of what may be in it, has 1 MiB, and a third more in base64."""
EXAMPLE = "https://example.org/web.json or file:///srv/images/web.json"
NAME = "config_url"
PERSONALITY = "img_personality"
"""A list of objects."""
LATER = ("os_product_key", "os_answer_file")
"""Keys of snf-image that nothing here acts on."""
NOTHING = (None, "", "[]", "{}")
"""Values that ask for nothing."""
SHOWN_KEYS = 8
KEY_MAX = 40


class ConfigUrl(Document):
    """Where the document is"""


def parse(text: str) -> ConfigUrl | None:
    """What the parameter says; nothing is fetched

    Raises:
        Invalid: with nothing of the value in it
    """
    return ConfigUrl(*documents.parse(text, EXAMPLE))


def applied(request: Request, environ: Mapping[str, str]) -> Request:
    """The request with the parameters that the document has on top, if there is one

    Raises:
        ProviderError: E-CONFIG-URL, E-PARAMETER where its parameters don't go with those that were given
    """
    given, log = request.parameters, request.log
    if given.config_url is None:
        return request
    from helper_host import image_places

    places = image_places.of(request.settings, log)
    source = given.config_url
    documents.warn_of_http(NAME, source, log)
    texts = read(_content(source, places), source.shown, log.warning)
    log.info(f"{NAME} {source.shown}: {', '.join(texts) or 'nothing in it'}")
    merged = combined(environ, texts, request.settings.parameters)
    log.debug(f"parameters {merged!r}")
    return request._replace(parameters=merged)


def combined(environ: Mapping[str, str], texts: Mapping[str, str], defaults: Mapping[str, str]) -> Parameters:
    """The parameters of the environment, over the document's, over the settings'"""
    from helper_host.ganeti import parameters

    middle = parameters.without_set(texts, parameters.in_environment(environ))
    return parameters.parse(environ, {**parameters.without_set(defaults, middle), **middle})


def read(content: bytes, where: str, warn: Any = lambda _: None) -> dict[str, str]:
    """The document's parameters, as the texts that `-O` would carry; each of them is valid, and so are all together

    Args:
        warn: gets texts for the log

    Raises:
        ProviderError: E-CONFIG-URL
    """
    from helper_host.ganeti import parameters

    try:
        document = _object(content)
        texts = _texts(document, where, warn)
        parameters.parse_values(texts, unquoted=texts)
    except ValueError as error:
        raise _error(where, str(error), "correct it") from None
    except ProviderError as error:
        raise _error(where, f"is not right: {error.cause}", error.remedy) from None
    return texts


def _object(content: bytes) -> dict[str, Any]:
    """A JSON object; ValueError where it is none"""
    try:
        document = json.loads(content.decode(), object_pairs_hook=_unique, parse_constant=_refuse)
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None
    except _TwiceError as error:
        raise ValueError(f"has {_key(str(error))} twice") from None
    except (ValueError, RecursionError):
        # where it stops being JSON would say something of a file that is none
        raise ValueError("is not JSON") from None
    if not isinstance(document, dict):
        raise ValueError("is JSON, but no object")
    return document


class _TwiceError(ValueError):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _TwiceError(name)
        found[name] = value
    return found


def _refuse(_name: str) -> None:
    raise ValueError


def _texts(document: Mapping[str, Any], where: str, warn: Any) -> dict[str, str]:
    from helper_host.ganeti import parameters

    rows = parameters.by_name()
    texts: dict[str, str] = {}
    unknown, later = [], []
    for key, value in document.items():
        name = key.lower()
        if name in texts:
            raise ValueError(f"has {_key(key)} twice; capitals make no difference")
        if name in rows and name != NAME:
            text = _text(name, value, lines=rows[name].lines)
            if text is not None:
                texts[name] = text
        elif name not in LATER:
            unknown.append(key)
        elif not (value in ([], {}) or (isinstance(value, str) and value.strip() in NOTHING) or value is None):
            later.append(name)
    if later:
        raise _Unsupported(later)
    if unknown:
        more = f" and {len(unknown) - SHOWN_KEYS} more" if len(unknown) > SHOWN_KEYS else ""
        warn(f"{NAME} {where} has keys that mean nothing here: {', '.join(map(_key, unknown[:SHOWN_KEYS]))}{more}")
    return texts


class _Unsupported(ProviderError):
    def __init__(self, names: list[str]) -> None:
        super().__init__(
            "E-CONFIG-URL",
            f"it asks for what can't be done here: {', '.join(names)}",
            f"take {'them' if len(names) > 1 else 'it'} out, or use a task (docs/writing-a-task.md)",
        )


def _text(name: str, value: Any, *, lines: bool) -> str | None:
    """The text that `-O` would carry; None for null"""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list) and name != PERSONALITY and all(isinstance(item, str) for item in value):
        return ("\n" if lines else " ").join(value)
    if (isinstance(value, dict) and name.endswith("_properties")) or (isinstance(value, list) and name == PERSONALITY):
        return json.dumps(value)
    raise ValueError(
        f"has for {name} a value of the wrong kind: it must be a text, a number, yes or no, or a list of texts"
    )


def _content(source: ConfigUrl, places: Places) -> bytes:
    return documents.content(source, places, limit=SIZE_MAX, seconds=SECONDS, fail=_error)


def _key(key: str) -> str:
    return repr(printable(key[:KEY_MAX]))


def _error(where: str, cause: str, remedy: str) -> ProviderError:
    return ProviderError("E-CONFIG-URL", f"{NAME} {where} {cause}", remedy)
