"""A look into filesystems for what may be the root

Each is mounted read-only and without replaying a journal, looked at, and unmounted.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from helper_agent import release
from helper_agent.api import Logger, TaskError
from helper_agent.disk import fstab, mounts
from helper_agent.disk.signatures import Signature
from helper_agent.filesystems.base import Filesystem, Run, of
from helper_agent.protocol import IMAGE_DESCRIPTION
from helper_agent.records import NamedTuple
from helper_agent.root import Root

if TYPE_CHECKING:
    from helper_agent.description import Description

LOOK = "/run/helper/look"
DEPLOYMENTS = "/ostree/deploy"


class Candidate(NamedTuple):
    """A filesystem, or a subvolume of one, that may be the root"""

    signature: Signature
    options: tuple[str, ...]
    os_release: Mapping[str, str]
    fstab: tuple[fstab.Entry, ...]
    rank: int
    """3: has an os-release; 2: an older release file; 1: only an fstab and a passwd, its /usr may be elsewhere."""
    described: bool = False
    """Has a description of its own, `protocol.IMAGE_DESCRIPTION`."""
    folder: str = ""
    """The folder in it that is the root, an ostree deployment's; "": its top."""


def look_at_all(signatures: list[Signature], log: Logger) -> tuple[list[Candidate], list[Signature]]:
    """The candidates among `signatures`, and those that could not be mounted"""
    candidates: list[Candidate] = []
    unreadable: list[Signature] = []
    for signature in signatures:
        try:
            if found := _look(signature):
                candidates.append(found)
        except TaskError as error:
            # It may not be the root at all
            log.warning(f"{error.cause}; it is left out in the search for the root")
            unreadable.append(signature)
    return candidates, unreadable


def look_after_repair(signatures: list[Signature], log: Logger, run: Run) -> list[Candidate]:
    """The candidates among filesystems that could not be mounted, once they are repaired

    Raises:
        TaskError: E-FILESYSTEM
    """
    found = []
    for signature in signatures:
        known = of(signature.type)
        assert known is not None
        if known.repair and not mounts.unsupported(known, signature.device):
            known.repair(signature.device, run, log)
        found.append(_look(signature))
    return [one for one in found if one]


def _look(signature: Signature) -> Candidate | None:
    """What speaks for `signature` as the root, None for nothing

    Raises:
        TaskError: E-FILESYSTEM, it can't be mounted
    """
    known = of(signature.type)
    assert known is not None
    found = _look_into(signature, known, ())
    if found is None and signature.type == "btrfs":
        for options in _subvolumes(signature, known):
            if found := _look_into(signature, known, options):
                break
    return found


def _subvolumes(signature: Signature, known: Filesystem) -> list[tuple[str, ...]]:
    """Mount options for each subvolume that may hold a system, the default one left out"""
    from helper_agent.filesystems.btrfs import subvolumes

    with Looking(signature, known, ("subvolid=5",)) as path:
        return [(f"subvol=/{name}",) for name in subvolumes(path) if "," not in name]


class Looking:
    """A filesystem mounted read-only for a look"""

    def __init__(self, signature: Signature, known: Filesystem, options: tuple[str, ...]) -> None:
        self._arguments = (signature.device, LOOK, known, ",".join(filter(None, (known.look, *options))))
        self._mounts = mounts.Mounts(LOOK)

    def __enter__(self) -> str:
        os.makedirs(LOOK, exist_ok=True)
        self._mounts.add(*self._arguments, read_only=True)
        return LOOK

    def __exit__(self, *_: object) -> None:
        self._mounts.close()


def _look_into(signature: Signature, known: Filesystem, options: tuple[str, ...]) -> Candidate | None:
    with Looking(signature, known, options) as path:
        root = Root(path)
        try:
            return _judge(root, signature, options)
        finally:
            root.close()


def _judge(root: Root, signature: Signature, options: tuple[str, ...]) -> Candidate | None:
    table = fstab.parse(release.text(root, "/etc/fstab"))
    if any(entry.device.startswith("/dev/mapper/") for entry in table):
        table = fstab.with_crypttab(table, release.text(root, "/etc/crypttab"))
    described = root.exists(IMAGE_DESCRIPTION)
    if found := release.read(root):
        # /usr on a filesystem of its own has a lib/os-release too, but no /etc
        return Candidate(signature, options, found, table, 3, described) if root.is_dir("/etc") else None
    if found := release.older(root):
        return Candidate(signature, options, found, table, 2, described)
    if (folder := _deployment(root)) and (found := release.read(root, (f"{folder}/usr/lib/os-release",))):
        table = fstab.parse(release.text(root, f"{folder}/etc/fstab"))
        return Candidate(signature, options, found, table, 3, folder=folder)
    if table and root.is_file("/etc/passwd"):
        return Candidate(signature, options, {}, table, 1, described)
    return None


def _deployment(root: Root) -> str:
    """ostree's folder that is the root; "" in nearly all systems"""
    if not root.is_dir(DEPLOYMENTS):
        return ""
    from helper_agent.disk import ostree

    return ostree.newest(root)


def with_usr(candidate: Candidate, everywhere: list[Signature], disks: Mapping[int, str]) -> Candidate:
    """A candidate whose os-release lies on the filesystem its fstab mounts on /usr"""
    if candidate.rank != 1:
        return candidate
    for entry in candidate.fstab:
        usr = fstab.resolve(entry, everywhere, disks) if entry.path.rstrip("/") == "/usr" else None
        known = of(usr.type) if usr else None
        if usr is None or known is None:
            continue
        subvolume = entry.option("subvol")
        options = (f"subvol={subvolume}",) if subvolume and usr.type == "btrfs" else ()
        with Looking(usr, known, options) as path:
            root = Root(path)
            try:
                if found := release.read(root, ("/lib/os-release",)):
                    return candidate._replace(os_release=found, rank=3)
            finally:
                root.close()
    return candidate


def description(root: Candidate) -> Description | None:
    """The image's own description; nearly all have none, and the look costs less than what reads one

    Raises:
        TaskError: E-OPTION, a description that is none
    """
    if not root.described:
        return None
    from helper_agent import described

    known = of(root.signature.type)
    assert known is not None
    with Looking(root.signature, known, root.options) as path:
        tree = Root(path)
        try:
            return described.read(tree)
        finally:
            tree.close()
