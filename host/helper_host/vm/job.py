"""The config drive: the job as a read-only ISO 9660 image that exists in memory only

The image holds password hashes and private host keys, so it lives in a memfd (memfd_create(2)) and reaches QEMU as a
descriptor: no name, no file, gone with the last process that has it open. It is made before the VM starts but filled
while the VM boots; the guest reads it only after `GO`.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, cast

from helper_agent.job import JOB_FILE, Job, encode_job

if TYPE_CHECKING:
    from helper_host.packing.archive import Archive

    Payload = bytes | Archive
else:
    Payload = bytes

ROOM = 1 << 20
"""Bytes for what an ISO 9660 image has beside its files."""
DRIVE_SIZE = 192 * 1024 * 1024
"""Bytes the drive pretends to have; unwritten parts of a memfd take no memory."""


class ConfigDrive:
    """A memfd that becomes the config drive; `reader` is a read-only descriptor for QEMU"""

    def __init__(self) -> None:
        self._writer = os.memfd_create("helper-job", os.MFD_CLOEXEC)
        try:
            os.ftruncate(self._writer, DRIVE_SIZE)
            self.reader = os.open(f"/proc/self/fd/{self._writer}", os.O_RDONLY | os.O_CLOEXEC)
        except BaseException:
            os.close(self._writer)
            raise

    def __enter__(self) -> ConfigDrive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop both descriptors; the memory goes when QEMU has gone too"""
        for descriptor in (self._writer, self.reader):
            os.close(descriptor)

    def fill(self, job: Job, payloads: Mapping[str, Payload] | None = None) -> None:
        """Write the job and its payload files, by their ISO 9660 names, onto the drive

        Raises:
            ValueError: more than the drive holds; the caller's values are bounded far below
            ProviderError: a file of an archive can't be read any more
        """
        files: dict[str, Payload] = {JOB_FILE: encode_job(job), **(payloads or {})}
        if sum(map(_size, files.values())) + ROOM > DRIVE_SIZE:
            raise ValueError("a job larger than the config drive")
        with open(self._writer, "r+b", closefd=False) as drive:
            write_iso(files, drive)


def write_iso(files: Mapping[str, Payload], into: BinaryIO) -> None:
    """An ISO 9660 image (ECMA-119, interchange level 3) with `files` in its root folder"""
    # late: 50 ms that pass while the VM boots
    import pycdlib

    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, vol_ident="HELPERJOB")
    for name, content in files.items():
        stream = io.BytesIO(content) if isinstance(content, bytes) else content.open()
        iso.add_fp(cast(BinaryIO, stream), _size(content), f"/{name};1")
    iso.write_fp(into)
    iso.close()


def iso_image(files: Mapping[str, Payload]) -> bytes:
    """Such an image in memory"""
    image = io.BytesIO()
    write_iso(files, image)
    return image.getvalue()


def _size(content: Payload) -> int:
    return len(content) if isinstance(content, bytes) else content.size
