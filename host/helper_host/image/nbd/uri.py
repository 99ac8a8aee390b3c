"""A disk's URI as QEMU knows it, in parts that mean one thing each

QEMU itself takes such a text as a file's name, in which much more can be said: other drivers, programs to run, options
of every kind. Here the URI is taken apart, what is not known is refused, and the broker gets the parts as values
(BlockdevOptions in qapi/block-core.json of QEMU), so that no text is ever read a second time. The forms are those of
QEMU's manual (qemu(1), "Device URL Syntax") and of its block/{nbd,rbd,gluster,iscsi}.c; Ganeti itself writes
rbd:POOL/IMAGE and gluster://HOST:PORT/VOLUME/PATH, an ExtStorage provider whatever it likes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from helper_host.errors import ProviderError

NBD_PORT = 10809
GLUSTER_PORT = 24007
ISCSI_PORT = 3260
RECONNECT_SECONDS = 5
"""How long the broker tries to reach an NBD server again that has dropped the connection."""
LENGTH_MAX = 4096
HOST = re.compile(r"[A-Za-z0-9._:%-]{1,255}")
SECRET = "secret-0"  # noqa: S105  the name of one


class Volume(NamedTuple):
    """What a URI means"""

    shown: str
    """For people and logs: without passwords and keys."""
    options: Mapping[str, Any]
    """QEMU's BlockdevOptions of the protocol's node, without its name."""
    secret: str = ""
    """What the object `SECRET` holds, which the options name; "" if they don't."""
    socket: str = ""
    """A Unix socket of the node that the broker connects to, or ""."""
    files: tuple[str, ...] = ()
    """Files and folders of the node that the broker reads, those that exist."""


class _Bad(Exception):
    """What is wrong with a URI, without quoting it"""


def parse(uri: str, variable: str) -> Volume:
    """What the URI means; `variable` is the name of what it is the value of

    Raises:
        ProviderError: E-ENVIRONMENT, which never quotes the URI, as it may hold a password
    """
    scheme = uri.partition(":")[0].lower()
    try:
        if not uri.isprintable() or len(uri) > LENGTH_MAX or " " in uri:
            raise _Bad("has control characters or spaces, or is too long")
        if scheme not in _SCHEMES or ":" not in uri:
            known = ", ".join(_SCHEMES)
            named = scheme if re.fullmatch(r"[a-z0-9+.-]{1,20}", scheme) else "no scheme"
            raise _Bad(f"is of a kind that is not known here ({named}; known: {known})")
        volume = _SCHEMES[scheme](uri)
        # what was written with percent signs or backslashes
        if not volume.shown.isprintable() or not _printable(volume.options):
            raise _Bad("has control characters")
        return volume
    except _Bad as error:
        why = str(error)
    except ValueError:  # of urlsplit
        why = "is not a URI"
    raise ProviderError(
        "E-ENVIRONMENT",
        f"{variable} {why}",
        "set the disk parameter access=kernelspace, so that the node has a device for the disk",
    )


def _nbd(uri: str) -> Volume:
    """nbd://HOST[:PORT][/EXPORT], or the older nbd:HOST:PORT and nbd:unix:PATH, both with [:exportname=EXPORT]"""
    if uri[4:6] != "//":
        return _old_nbd(uri[4:])
    parts = _split(uri, _NOTHING)
    return _nbd_at(parts.hostname or "", parts.port or NBD_PORT, unquote(parts.path).lstrip("/"))


def _old_nbd(text: str) -> Volume:
    address, _, export = text.partition(":exportname=")
    if address.startswith("unix:"):
        return _nbd_unix_at(address.removeprefix("unix:"), export)
    host, _, port = address.rpartition(":")
    if not re.fullmatch("[0-9]{1,5}", port, re.ASCII) or int(port) > 65535:
        raise _Bad("names no port")
    return _nbd_at(host.removeprefix("[").removesuffix("]"), int(port), export)


def _nbd_unix(uri: str) -> Volume:
    """nbd+unix:///EXPORT?socket=PATH"""
    parts = _split(uri, ("socket",))
    return _nbd_unix_at(_query(parts)["socket"], unquote(parts.path).lstrip("/"))


def _nbd_at(host: str, port: int, export: str) -> Volume:
    where = f"[{host}]" if ":" in host else host
    return _nbd_volume(f"nbd://{where}:{port}/{export}", _inet(host, port), export)


def _nbd_unix_at(path: str, export: str) -> Volume:
    if not path.startswith("/"):
        raise _Bad("names no socket by an absolute path")
    return _nbd_volume(f"nbd+unix:///{export}?socket={path}", {"type": "unix", "path": path}, export)._replace(
        socket=path
    )


def _nbd_volume(shown: str, server: Mapping[str, Any], export: str) -> Volume:
    options = {"driver": "nbd", "server": server, "export": export, "reconnect-delay": RECONNECT_SECONDS}
    return Volume(shown, options)


def _rbd(uri: str) -> Volume:
    """rbd:POOL/[NAMESPACE/]IMAGE[@SNAPSHOT][:OPTION=VALUE ...], each character escapable by a backslash"""
    place, *pairs = re.split(r"(?<!\\):", uri[4:])
    names = re.split(r"(?<!\\)/", place)
    if len(names) not in (2, 3) or not all(names):
        raise _Bad("names no pool and image")
    image, *snapshot = re.split(r"(?<!\\)@", names[-1])
    if snapshot:
        raise _Bad("names a snapshot, which can't be written to")
    options: dict[str, Any] = {"driver": "rbd", "pool": _unescaped(names[0]), "image": _unescaped(image)}
    if len(names) == 3:
        options["namespace"] = _unescaped(names[1])
    secret, files = "", ["/etc/ceph"]
    for pair in pairs:
        name, _, text = pair.partition("=")
        value = _unescaped(text)
        match name:
            case "id":
                options["user"] = value
            case "conf":
                if not value.startswith("/"):
                    raise _Bad("names a configuration by no absolute path")
                options["conf"] = value
                files.append(value)
            case "key":
                options["key-secret"], secret = SECRET, value
            case "mon_host":
                options["server"] = [_monitor(each) for each in re.split("[;,]", value)]
            case _:
                raise _Bad("has an option that is not known here (known: id, conf, key, mon_host)")
    shown = f"rbd:{place}" + (f":id={options['user']}" if "user" in options else "")
    return Volume(shown, options, secret, files=tuple(files))


def _monitor(text: str) -> dict[str, str]:
    host, _, port = text.rpartition(":") if re.fullmatch(r"(\[.*\]|[^:]*):[0-9]+", text) else (text, "", "6789")
    return {"host": _host(host.removeprefix("[").removesuffix("]")), "port": port}


def _gluster(uri: str) -> Volume:
    """gluster[+tcp]://HOST[:PORT]/VOLUME/PATH"""
    parts = _split(uri, _NOTHING)
    volume, _, path = unquote(parts.path).lstrip("/").partition("/")
    if not volume or not path:
        raise _Bad("names no volume and path")
    server = _inet(parts.hostname or "", parts.port or GLUSTER_PORT)
    return Volume(uri, {"driver": "gluster", "volume": volume, "path": path, "server": [server]})


def _iscsi(uri: str) -> Volume:
    """iscsi://[USER[%PASSWORD]@]HOST[:PORT]/TARGET/LUN"""
    before, at, rest = uri.removeprefix(uri[: uri.index(":") + 3]).rpartition("@")
    user, _, password = before.partition("%")
    parts = _split(f"iscsi://{rest}", _NOTHING)
    target, _, lun = unquote(parts.path).lstrip("/").rpartition("/")
    if not target or not re.fullmatch("[0-9]{1,5}", lun, re.ASCII):
        raise _Bad("names no target and LUN")
    host, port = _host(parts.hostname or ""), parts.port or ISCSI_PORT
    portal = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    options = {"driver": "iscsi", "transport": "tcp", "portal": portal, "target": target, "lun": int(lun)}
    if at:
        options |= {"user": user}
    if password:
        options |= {"password-secret": SECRET}
    return Volume(f"iscsi://{portal}/{target}/{lun}", options, password)


_NOTHING: tuple[str, ...] = ()
_SCHEMES: Mapping[str, Callable[[str], Volume]] = {
    "nbd": _nbd,
    "nbd+unix": _nbd_unix,
    "rbd": _rbd,
    "gluster": _gluster,
    "gluster+tcp": _gluster,
    "iscsi": _iscsi,
}


def _split(uri: str, queries: tuple[str, ...]) -> SplitResult:
    """The URI's parts; neither a user, nor a fragment, nor other queries than `queries`"""
    parts = urlsplit(uri)
    if not uri[len(parts.scheme) :].startswith("://") or parts.fragment or "@" in parts.netloc:
        raise _Bad("is not of its scheme's form")
    if sorted(name for name, _ in parse_qsl(parts.query, keep_blank_values=True)) != sorted(queries):
        raise _Bad("has other options than those of its scheme")
    return parts


def _query(parts: SplitResult) -> dict[str, str]:
    return dict(parse_qsl(parts.query))


def _inet(host: str, port: int) -> dict[str, str]:
    return {"type": "inet", "host": _host(host), "port": str(port)}


def _host(text: str) -> str:
    if not HOST.fullmatch(text) or text.startswith("-"):
        raise _Bad("names no host")
    return text


def _printable(options: Mapping[str, Any]) -> bool:
    inner = (value if isinstance(value, Mapping) else {"": value} for value in options.values())
    return all(text.isprintable() for each in inner for text in each.values() if isinstance(text, str))


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
