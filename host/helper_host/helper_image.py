"""The helper image on the node: found, of our version, and whole before anything depends on it"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Mapping
from typing import NamedTuple

from helper_agent import protocol
from helper_host.errors import ProviderError

MANIFEST = "manifest.json"
MANIFEST_FORMAT = 1
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
    tasks: tuple[str, ...]
    """Names of the built-in tasks, in their order."""


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
            tasks=tuple(str(name) for name in manifest["tasks"]),
        )
        version = manifest["protocol"]
    except OSError as error:
        raise ProviderError("E-HELPER-IMAGE", f"{error.filename or path}: {error.strerror}", REMEDY) from None
    except (ValueError, KeyError, TypeError) as error:
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


def verify(image: HelperImage, cancel: threading.Event) -> None:
    """Hash every part and compare with the manifest; hashlib lets other threads run meanwhile

    Raises:
        ProviderError: E-HELPER-IMAGE when a part is damaged
    """
    for part in (image.root, image.initrd, image.kernel):
        try:
            actual = _sha256(part.path, cancel)
        except OSError as error:
            raise ProviderError("E-HELPER-IMAGE", f"{part.path}: {error.strerror}", REMEDY) from None
        if actual != part.sha256 and not cancel.is_set():
            raise ProviderError("E-HELPER-IMAGE", f"{part.path} is damaged: its sha256 is not the manifest's", REMEDY)


def _sha256(path: str, cancel: threading.Event) -> str:
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while not cancel.is_set() and (chunk := file.read(CHUNK)):
            digest.update(chunk)
    return digest.hexdigest()
