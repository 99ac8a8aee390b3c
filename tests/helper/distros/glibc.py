"""passwd, group and shadow by this machine's own glibc: what getpwnam(3) and its like go through, on any file"""

from __future__ import annotations

import ctypes
import tempfile
from collections.abc import Iterator
from typing import Any

LIBC = ctypes.CDLL("libc.so.6")
LIBC.fopen.restype = ctypes.c_void_p
TEXT = ctypes.c_char_p


class Passwd(ctypes.Structure):
    """struct passwd"""

    _fields_ = (
        ("name", TEXT),
        ("password", TEXT),
        ("uid", ctypes.c_uint32),
        ("gid", ctypes.c_uint32),
        ("gecos", TEXT),
        ("home", TEXT),
        ("shell", TEXT),
    )


class Group(ctypes.Structure):
    """struct group"""

    _fields_ = (("name", TEXT), ("password", TEXT), ("gid", ctypes.c_uint32), ("members", ctypes.POINTER(TEXT)))


class Shadow(ctypes.Structure):
    """struct spwd; the rest of it is not looked at"""

    _fields_ = (
        ("name", TEXT),
        ("hash", TEXT),
        *((name, ctypes.c_long) for name in ("changed", "least", "most", "warned", "inactive", "expires")),
        ("flag", ctypes.c_ulong),
    )


def passwd(text: bytes) -> list[tuple[bytes, bytes, int, int, bytes, bytes, bytes]]:
    """name, password, uid, gid, gecos, home, shell of each line that is one"""
    return [
        (one.name, one.password, one.uid, one.gid, one.gecos, one.home, one.shell)
        for one in _each(LIBC.fgetpwent, Passwd, text)
    ]


def group(text: bytes) -> list[tuple[bytes, bytes, int, tuple[bytes, ...]]]:
    """name, password, gid, members of each line that is one"""
    return [(one.name, one.password, one.gid, _list(one.members)) for one in _each(LIBC.fgetgrent, Group, text)]


def shadow(text: bytes) -> list[tuple[bytes, bytes, int, int]]:
    """name, hash, days of the last change and of the end of each line that is one; -1 for none"""
    return [(one.name, one.hash, one.changed, one.expires) for one in _each(LIBC.fgetspent, Shadow, text)]


def _each(function: Any, kind: type[ctypes.Structure], text: bytes) -> Iterator[Any]:
    function.restype, function.argtypes = ctypes.POINTER(kind), [ctypes.c_void_p]
    with tempfile.NamedTemporaryFile() as file:
        # behind blanks, the end of a last line without a newline is read twice (__nss_readline's memmove)
        file.write(text + b"\n")
        file.flush()
        stream = ctypes.c_void_p(LIBC.fopen(file.name.encode(), b"r"))
        # the next call writes over what the last one returned
        while found := function(stream):
            # +: NIS, which the service `files` leaves out
            if found.contents.name and not found.contents.name.startswith((b"+", b"-")):
                yield found.contents
        LIBC.fclose(stream)


def _list(pointer: Any) -> tuple[bytes, ...]:
    names: list[bytes] = []
    while (name := pointer[len(names)]) is not None:
        names.append(name)
    return tuple(names)
