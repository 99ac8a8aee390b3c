"""The images that are measured, made once and kept in build/bench"""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence

from tests import calling

GIB, MIB = 1 << 30, 1 << 20
FOLDER = os.path.join(calling.REPOSITORY, "build", "bench")
DEBIAN = os.path.join(calling.REPOSITORY, "build", "images", "debian-msdos.raw")
"""1.5 GiB with about 400 MiB of data."""
SPARSE_SIZE, SPARSE_DATA = 10 * GIB, 1 * GIB

COMPRESSORS: Mapping[str, Sequence[str]] = {
    "zst": ("zstd", "-q", "-c"),
    "gz": ("gzip", "-c"),
    "xz": ("xz", "-T2", "-c"),
}
UNPACKERS: Mapping[str, Sequence[str]] = {"zst": ("zstd", "-dc"), "gz": ("pigz", "-dc"), "xz": ("xz", "-dc")}


def sparse_raw() -> str:
    """10 GiB with 1 GiB of a real system's data, in pieces of up to a MiB all over it"""
    return _made("sparse.raw", _scatter)


def sparse_qcow2() -> str:
    """The same as qcow2"""
    return _made("sparse.qcow2", lambda path: _convert(sparse_raw(), path))


def packed_qcow2() -> str:
    """The same as qcow2 with compressed clusters"""
    return _made("packed.qcow2", lambda path: _convert(sparse_raw(), path, "-c"))


def compressed(suffix: str) -> str:
    """The Debian image, compressed with the tool's own defaults"""
    return _made(f"debian.raw.{suffix}", lambda path: _compress(COMPRESSORS[suffix], path))


def _made(name: str, make: Callable[[str], None]) -> str:
    path = os.path.join(FOLDER, name)
    if not os.path.exists(path) or os.stat(path).st_mtime < os.stat(DEBIAN).st_mtime:
        os.makedirs(FOLDER, exist_ok=True)
        make(f"{path}.new")
        os.rename(f"{path}.new", path)
    return path


def _scatter(path: str) -> None:
    dice = random.Random(1)
    with open(DEBIAN, "rb") as source, open(path, "wb") as target:
        target.truncate(SPARSE_SIZE)
        blocks = list(_data(source.fileno()))
        slots = sorted(dice.sample(range(SPARSE_SIZE // MIB), SPARSE_SIZE // MIB // 2))
        done = 0
        for number, slot in enumerate(slots):
            offset, length = blocks[number % len(blocks)]
            done += os.pwrite(target.fileno(), os.pread(source.fileno(), length, offset), slot * MIB)
            if done >= SPARSE_DATA:
                return


def _data(fd: int) -> Iterator[tuple[int, int]]:
    """The file's data in pieces of at most a MiB"""
    position, size = 0, os.fstat(fd).st_size
    while position < size:
        try:
            start = os.lseek(fd, position, os.SEEK_DATA)
        except OSError:
            return
        position = os.lseek(fd, start, os.SEEK_HOLE)
        for offset in range(start, position, MIB):
            yield offset, min(MIB, position - offset)


def _convert(source: str, target: str, *flags: str) -> None:
    subprocess.run(["qemu-img", "convert", *flags, "-f", "raw", "-O", "qcow2", source, target], check=True)


def _compress(argv: Sequence[str], target: str) -> None:
    with open(DEBIAN, "rb") as source, open(target, "wb") as file:
        subprocess.run(argv, stdin=source, stdout=file, check=True)
