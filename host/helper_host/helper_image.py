"""The helper image on the node: found, of our version, and whole before anything depends on it"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Mapping
from typing import Any, NamedTuple

from helper_agent import declaration, protocol
from helper_host.errors import ProviderError
from helper_host.tasks import Known

MANIFEST = "manifest.json"
MANIFEST_FORMAT = 2
BUILT_IN = "built-in"
"""The source of the tasks that come with the agent."""
VERIFIED = "helper-image.json"
KERNEL, INITRD, ROOT = "vmlinuz", "initrd.img", "root.erofs"
REMEDY = "install the helper image anew (make helper-image install, or the tarball of make dist)"
CHUNK = 4 * 1024 * 1024


class Part(NamedTuple):
    """One file of the helper image"""

    path: str
    size: int
    """Bytes."""
    sha256: str


class HelperImage(NamedTuple):
    """The parts of the helper image, as its manifest names them"""

    kernel: Part
    initrd: Part
    root: Part
    agent: str
    suite: str
    tasks: tuple[Known, ...]
    """The tasks in it, in their order."""


def load(folder: str) -> HelperImage:
    """The helper image in `folder`, its manifest and its files' sizes checked

    Raises:
        ProviderError: E-HELPER-IMAGE when it is missing, incomplete, or speaks another protocol
    """
    path = os.path.join(folder, MANIFEST)
    try:
        with open(path, encoding="utf-8") as file:
            manifest = json.load(file)
        if manifest["format"] != MANIFEST_FORMAT:
            raise ValueError(f"format {manifest['format']}")
        image = HelperImage(
            kernel=_part(folder, KERNEL, manifest["files"]),
            initrd=_part(folder, INITRD, manifest["files"]),
            root=_part(folder, ROOT, manifest["files"]),
            agent=str(manifest["agent"]),
            suite=str(manifest["suite"]),
            tasks=tuple(_task(row) for row in manifest["tasks"]),
        )
        version = manifest["protocol"]
    except OSError as error:
        raise ProviderError("E-HELPER-IMAGE", f"{error.filename or path}: {error.strerror}", REMEDY) from None
    except (ValueError, KeyError, TypeError, AttributeError, declaration.DeclarationError) as error:
        raise ProviderError("E-HELPER-IMAGE", f"{path} is not a manifest of ours ({error})", REMEDY) from None
    if version != protocol.PROTOCOL_VERSION:
        raise ProviderError(
            "E-HELPER-IMAGE",
            f"The helper image in {folder} speaks protocol {version}, this node side {protocol.PROTOCOL_VERSION}",
            REMEDY,
        )
    return image


def _part(folder: str, name: str, files: Mapping[str, Mapping[str, object]]) -> Part:
    path = os.path.join(folder, name)
    entry = files[name]
    size, expected = os.stat(path).st_size, entry["size"]
    if size != expected:
        raise ValueError(f"{name} has {size} bytes, not {expected}")
    return Part(path, size, str(entry["sha256"]))


def _task(row: Mapping[str, Any]) -> Known:
    task = declaration.from_plain(row["task"])
    if problem := declaration.problem(task):
        raise ValueError(f"the task {task.name!r} {problem}")
    source = str(row["source"])
    # for messages that name two files
    source = source if source == BUILT_IN else f"{source} in the helper image"
    return Known(task, source, str(row["heading"]), str(row["manual"]), str(row["kind"]))


def verify(image: HelperImage, folder: str | None, cancel: threading.Event) -> None:
    """Hash every part and compare with the manifest; hashlib lets other threads run meanwhile

    What was found whole is remembered in `folder` (the run folder, which a boot of the node empties) by the file's
    inode, size and times: the change time can't be set, so a file that was written since is hashed again. Without a
    folder nothing is remembered, and everything hashed.

    Raises:
        ProviderError: E-HELPER-IMAGE when a part is damaged
    """
    try:
        stamp = [_stamp(part) for part in (image.root, image.initrd, image.kernel)]
        if folder is not None and stamp == _remembered(folder):
            return
        for part in (image.root, image.initrd, image.kernel):
            actual = _sha256(part.path, cancel)
            if cancel.is_set():
                return
            if actual != part.sha256:
                raise ProviderError(
                    "E-HELPER-IMAGE", f"{part.path} is damaged: its sha256 is not the manifest's", REMEDY
                )
    except OSError as error:
        raise ProviderError("E-HELPER-IMAGE", f"{error.filename}: {error.strerror}", REMEDY) from None
    if folder is not None:
        _remember(folder, stamp)


def _stamp(part: Part) -> list[object]:
    status = os.stat(part.path)
    times = (status.st_mtime_ns, status.st_ctime_ns)
    return [part.path, part.sha256, status.st_dev, status.st_ino, status.st_size, *times]


def _remembered(folder: str) -> object:
    try:
        with open(os.path.join(folder, VERIFIED), encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return None


def _remember(folder: str, stamp: list[list[object]]) -> None:
    path = os.path.join(folder, VERIFIED)
    temporary = f"{path}.{os.getpid()}"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(stamp, file)
        os.replace(temporary, path)
    except OSError:  # the next run hashes again
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def _sha256(path: str, cancel: threading.Event) -> str:
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while not cancel.is_set() and (chunk := file.read(CHUNK)):
            digest.update(chunk)
    return digest.hexdigest()
