"""Which modules a task can import in the helper image"""

from __future__ import annotations

import sys

THIRD_PARTY = ("jinja2", "pyudev")
"""Python packages of the helper image for task authors."""

PRUNED = frozenset(
    (
        *("asyncio", "curses", "dbm", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "sqlite3", "test", "tkinter"),
        *("turtle", "turtledemo", "unittest", "venv", "wsgiref", "xmlrpc", "_pydecimal", "_pyio", "__phello__"),
        *("_codecs_cn", "_codecs_hk", "_codecs_iso2022", "_codecs_jp", "_codecs_kr", "_codecs_tw", "_ctypes_test"),
        *("_curses", "_curses_panel", "_dbm", "_gdbm", "_hashlib", "_ssl", "_sqlite3", "_zoneinfo", "audioop", "nis"),
        *("ossaudiodev", "readline"),
    )
)
"""What helper-image/image.toml takes out of Python's library."""
NOT_IN_DEBIAN = frozenset(
    (
        *("_tkinter", "distutils"),
        *("_msi", "_overlapped", "_scproxy", "_winapi", "msilib", "msvcrt", "nt", "winreg", "winsound"),
    )
)
"""What Debian has in packages of its own, or another system only."""
BROKEN = frozenset(("ssl", "doctest", "_asyncio"))
"""What is there and can't be imported, because it imports one of those."""


def problem(module: str) -> str:
    """Why `import module` fails in the helper, "" if it doesn't"""
    top = module.partition(".")[0]
    if top in THIRD_PARTY:
        return ""
    if top in PRUNED | NOT_IN_DEBIAN | BROKEN:
        return f"{top} was left out of the Python of the helper image"
    if top not in sys.stdlib_module_names:
        return f"{top} is not in the helper image"
    return ""
