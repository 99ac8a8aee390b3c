"""Archives of files that came with the job, unpacked into the image's tree

Pax archives (POSIX.1-2001) as `helper_host.packing.archive` makes them. Python's tarfile would do, and take longer to
import in an emulated guest than all of this.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from helper_agent.api import TaskError
from helper_agent.records import NamedTuple

if TYPE_CHECKING:
    from helper_agent.root import Root

BLOCK = 512
XATTR = "SCHILY.xattr."
FILE, SYMLINK, FOLDER, PAX = b"0", b"2", b"5", b"x"


class Member(NamedTuple):
    """One name in an archive"""

    path: str
    """Absolute, in the image."""
    kind: bytes
    """FILE, SYMLINK or FOLDER."""
    mode: int
    owner: int | str
    """Number, or name by the image's own accounts."""
    group: int | str
    """As well; "" for the owner's own."""
    target: str
    """Of a symlink."""
    content: memoryview
    """Of a file."""
    attributes: dict[str, bytes]
    """Extended ones."""


def members(archive: bytes) -> Iterator[Member]:
    """What is in the archive, in its order

    Raises:
        TaskError: E-OPTION, it is no such archive
    """
    view = memoryview(archive)
    at = 0
    more: dict[str, bytes] = {}
    try:
        while any(header := view[at : at + BLOCK]):
            kind = bytes(header[156:157])
            size = int(more.get("size", b"") or _number(header, 124, 12))
            content = view[at + BLOCK : at + BLOCK + size]
            if len(content) != size or bytes(header[257:262]) != b"ustar":
                raise ValueError
            at += BLOCK + (size + BLOCK - 1) // BLOCK * BLOCK
            if kind == PAX:
                more = _records(bytes(content))
                continue
            if kind not in (FILE, SYMLINK, FOLDER):
                raise ValueError
            yield _member(header, kind, content, more)
            more = {}
    except (ValueError, IndexError):
        raise TaskError("The archive of files is damaged, or of another form", code="E-OPTION") from None


def unpack(root: Root, archive: bytes) -> int:
    """All of the archive into the tree; how many files and symlinks that are

    Files and symlinks take the place of files and symlinks; folders that are there stay as they are. Symlinks of the
    image on the way are followed inside the tree.

    Raises:
        TaskError: something else is in the place of one of them; E-USER for a name that is not in the image
        OSError
    """
    count = 0
    for member in members(archive):
        if member.kind == FOLDER:
            made = root.mkdir(member.path, member.mode, member.owner, _group(root, member))
            attributes = member.attributes if made else {}
        elif member.kind == SYMLINK:
            if not (root.is_symlink(member.path) and root.readlink(member.path) == member.target):
                root.symlink(member.target, member.path)
            attributes = {}
            count += 1
        else:
            root.install(
                member.path,
                bytes(member.content),
                owner=member.owner,
                group=member.group,
                mode=member.mode,
                follow=False,
            )
            attributes = member.attributes
            count += 1
        for name, value in attributes.items():
            root.set_attribute(member.path, name, value)
    return count


def _group(root: Root, member: Member) -> int | str:
    if member.group == "" and isinstance(member.owner, str):
        from helper_agent.tree import accounts

        return accounts.login_group(root, member.owner)
    return member.group or 0


def _member(header: memoryview, kind: bytes, content: memoryview, more: dict[str, bytes]) -> Member:
    path = _text(more.get("path") or _joined(header))
    parts = [part for part in path.split("/") if part]
    if not parts or any(part in (".", "..") for part in parts):
        raise ValueError
    owner, group = (_text(more.get(name) or _string(header, at, 32)) for name, at in (("uname", 265), ("gname", 297)))
    uid, gid = (int(more.get(name) or _number(header, at, 8)) for name, at in (("uid", 108), ("gid", 116)))
    return Member(
        "/" + "/".join(parts),
        kind,
        _number(header, 100, 8),
        int(owner) if owner.isdigit() else owner or uid,
        int(group) if group.isdigit() else group or ("" if owner else gid),
        _text(more.get("linkpath") or _string(header, 157, 100)),
        content,
        {name[len(XATTR) :]: value for name, value in more.items() if name.startswith(XATTR)},
    )


def _records(content: bytes) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    at = 0
    while at < len(content):
        length, _, _ = content[at : at + 20].partition(b" ")
        record = content[at : at + int(length)]
        name, _, value = record[len(length) + 1 : -1].partition(b"=")
        found[_text(name)] = value
        at += max(1, int(length))
    return found


def _joined(header: memoryview) -> bytes:
    prefix, name = _string(header, 345, 155), _string(header, 0, 100)
    return prefix + b"/" + name if prefix else name


def _string(header: memoryview, at: int, size: int) -> bytes:
    return bytes(header[at : at + size]).partition(b"\0")[0]


def _number(header: memoryview, at: int, size: int) -> int:
    return int(_string(header, at, size).strip() or b"0", 8)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")
