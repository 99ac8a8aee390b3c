"""The image's locales: which there are, and where it is said which one is used

glibc has them in folders below /usr/lib/locale, or in an archive there (locarchive.h in its sources), of which only the
names are read. musl needs none.
"""

from __future__ import annotations

import re
import struct

from helper_agent.root import Root

FOLDER = "/usr/lib/locale"
ARCHIVE = f"{FOLDER}/locale-archive"
MAGIC = 0xDE020109
HEADER = struct.Struct("<8I")
"""magic, serial, offset, used and size of the table of names, offset, used and size of the names themselves."""
NAMES_MAX = 1 << 20
MUSL = "/lib/ld-musl-*"
GEN = "/etc/locale.gen"
"""The list of those that locale-gen makes (Debian, Arch, Gentoo)."""
KEYS = {"/etc/sysconfig/language": "RC_LANG"}
"""Files that have another name for LANG."""
BUILT_IN = ("C", "POSIX", "C.utf8")


def has(root: Root, name: str) -> bool:
    """Whether the image has the locale

    Raises:
        TaskError: the archive is a trap
    """
    wanted = normal(name)
    if wanted in BUILT_IN or root.glob(MUSL):
        return True
    return any(root.is_dir(f"{FOLDER}/{each}") for each in (wanted, name)) or wanted in archived(root)


def normal(name: str) -> str:
    """As glibc calls it: de_DE.UTF-8 is de_DE.utf8"""
    head, at, modifier = name.partition("@")
    head, dot, codeset = head.partition(".")
    return f"{head}{dot}{re.sub('[^a-z0-9]', '', codeset.lower())}{at}{modifier}"


def archived(root: Root) -> set[str]:
    """Names in the archive; none where there is none, or it is of another kind"""
    if not root.is_file(ARCHIVE):
        return set()
    head = root.read_part(ARCHIVE, 0, HEADER.size)
    if len(head) < HEADER.size:
        return set()
    magic, _, _, _, _, offset, used, _ = HEADER.unpack(head)
    if magic != MAGIC or used > NAMES_MAX:
        return set()
    return {each.decode("ascii", "replace") for each in root.read_part(ARCHIVE, offset, used).split(b"\0") if each}


def wish(root: Root, name: str) -> bool:
    """Put the locale on the list of those that are to be made; whether there is such a list, and it is on it

    Raises:
        TaskError: the list is a trap
    """
    codeset = name.partition("@")[0].partition(".")[2]
    if not root.is_file(GEN):
        return False
    lines = [line.lstrip("# \t").split() for line in root.read_text(GEN).split("\n")]
    if any(line[:1] == [name] for line in lines):
        return root.replace_lines(GEN, rf"[#\s]*({re.escape(name)}\s+\S+)\s*", r"\1") or True
    return bool(codeset) and root.append_line(GEN, f"{name} {codeset}")


def write(root: Root, path: str, lang: str) -> None:
    """Have `path` say that `lang` is used

    Raises:
        TaskError: it is a trap
    """
    if path.endswith(".sh"):
        line = f"export LANG={lang}"
        if not root.replace_lines(path, r"\s*(?:export\s+)?LANG=.*", line) and line not in _lines(root, path):
            root.append_line(path, line)
        return
    root.set_key(path, KEYS.get(path, "LANG"), f'"{lang}"' if path in KEYS else lang)
    # update-locale(8) takes LANGUAGE away as well where it doesn't fit
    language = re.compile(rf"\s*LANGUAGE=\"?{re.escape(re.split('[._@]', lang)[0])}(?![A-Za-z]).*")
    if not any(language.fullmatch(line) for line in _lines(root, path)):
        root.set_key(path, "LANGUAGE", None)
    root.set_key(path, "LC_ALL", None)


def _lines(root: Root, path: str) -> list[str]:
    return root.read_text_or(path).split("\n")
