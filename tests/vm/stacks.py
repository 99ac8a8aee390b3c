"""LVM and LUKS around a filesystem, made and undone on files: the machine the tests run on has no device mapper

lvm writes its metadata without it (--driverloaded n), and where a volume's extents are is in them. cryptsetup makes
headers and tells the volume's key, with which content is encrypted and decrypted here (aes-xts-plain64).
"""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

MIB = 1 << 20
GROUP, SWAP = "debian-vg", "swap_1"
KEY = "canary-luks-9d1e, with a blank"
CONFIG = (
    "devices { use_devicesfile=0 external_device_info_source=none obtain_device_list_from_udev=0 } "
    "activation { udev_sync=0 udev_rules=0 verify_udev_operations=0 monitoring=0 } "
    "backup { backup=0 archive=0 } global { use_lvmpolld=0 event_activation=0 }"
)
LUKS_MIB = {"luks": 16, "luks1": 2}
"""MiB of a header."""
FORMAT = {
    "luks": ["--type", "luks2", "--pbkdf", "argon2id", "--pbkdf-memory", "32768", "--pbkdf-force-iterations", "4"],
    "luks1": ["--type", "luks1", "--pbkdf-force-iterations", "1000"],
}
SECTOR = 512


def overhead(wrap: Sequence[str]) -> int:
    """MiB that a partition needs on top of the filesystem in it"""
    return sum(16 if kind == "lvm" else LUKS_MIB[kind] for kind in wrap)


def wrapped(content: Path, wrap: Sequence[str], size: int) -> None:
    """`content` becomes a partition of `size` bytes with itself in volumes, the outermost named first"""
    sizes = [size]
    for kind in wrap[:-1]:
        sizes.append(sizes[-1] - (8 if kind == "lvm" else LUKS_MIB[kind]) * MIB)
    for kind, whole in reversed([*zip(wrap, sizes, strict=True)]):
        outer = content.with_name(f"{content.name}.outer")
        with outer.open("wb") as file:
            file.truncate(whole)
        if kind == "lvm":
            _into_lvm(content, outer)
        else:
            _into_luks(content, outer, kind)
        outer.replace(content)


def unwrapped(disk: str, offset: int, size: int, wrap: Sequence[str], folder: Path) -> Path:
    """What is in the innermost volume of the partition at `offset`, as a file"""
    content = folder / "unwrapped"
    _run(["dd", f"if={disk}", f"of={content}", "bs=1M", f"skip={offset // MIB}", f"count={size // MIB}", "conv=sparse"])
    os.truncate(content, size)
    for kind in wrap:
        inner = folder / "inner"
        if kind == "lvm":
            _out_of_lvm(content, inner)
        else:
            _out_of_luks(content, inner)
        inner.replace(content)
    return content


# --- LVM ---


def _into_lvm(content: Path, outer: Path) -> None:
    """Volumes root, with the content, and swap behind it, so that root's extents are in two pieces once it has grown"""
    with looped(outer) as device:
        lvm(device, "pvcreate", "--yes", "-ff", device)
        lvm(device, "vgcreate", "--physicalextentsize", "1M", GROUP, device)
        plain = ["lvcreate", "--yes", "--activate", "n", "--zero", "n", "--wipesignatures", "n"]
        lvm(device, *plain, "--extents", str(-(-content.stat().st_size // MIB)), "--name", "root", GROUP)
        lvm(device, *plain, "--extents", "2", "--name", SWAP, GROUP)
    (start, _, _), *_ = segments(outer, "root")
    _run(["dd", f"if={content}", f"of={outer}", "bs=1M", f"seek={start // MIB}", "conv=sparse,notrunc"])


def _out_of_lvm(outer: Path, inner: Path) -> None:
    for start, size, at in segments(outer, "root"):
        _run(["dd", f"if={outer}", f"of={inner}", "bs=1M", f"skip={start // MIB}", f"count={size // MIB}",
              f"seek={at // MIB}", "conv=sparse,notrunc"])  # fmt: skip
        with inner.open("r+b") as file:
            file.truncate(max(inner.stat().st_size, at + size))


def segments(outer: Path, volume: str) -> list[tuple[int, int, int]]:
    """Of a volume: where each piece lies in `outer`, its size, and where it belongs; bytes"""
    fields = "pe_start,vg_extent_size,pvseg_start,pvseg_size,lv_name,seg_start_pe"
    with looped(outer) as device:
        text = lvm(device, "pvs", "--segments", "--noheadings", "--units", "b", "--nosuffix", "--separator", "|",
                   "--options", fields, device)  # fmt: skip
    found = []
    for line in text.splitlines():
        first, extent, start, size, name, at = line.strip().split("|")
        if name == volume:
            unit = int(extent)
            found.append((int(first) + int(start) * unit, int(size) * unit, int(at or 0) * unit))
    return sorted(found, key=lambda one: one[2])


def lvm(device: str, command: str, *arguments: str) -> str:
    """What the lvm command said, looking at `device` alone"""
    fixed = ["--driverloaded", "n", "--config", CONFIG, "--devices", device]
    return _run(["lvm", command, *fixed, *arguments])


@contextmanager
def looped(file: Path) -> Iterator[str]:
    """`file` as a block device"""
    device = _run(["losetup", "--find", "--show", str(file)]).strip()
    try:
        yield device
    finally:
        _run(["losetup", "--detach", device])


# --- LUKS ---


def _into_luks(content: Path, outer: Path, kind: str) -> None:
    more = ["--sector-size", str(SECTOR)] if kind == "luks" else []
    _run(["cryptsetup", "luksFormat", "-q", *FORMAT[kind], *more, str(outer), "-"], KEY.encode())
    key, start = _volume_key(outer)
    with content.open("rb") as source, outer.open("r+b") as target:
        target.seek(start)
        _crypt(source.read, target.write, key, encrypt=True)
        assert target.tell() <= outer.stat().st_size


def _out_of_luks(outer: Path, inner: Path) -> None:
    key, start = _volume_key(outer)
    with outer.open("rb") as source, inner.open("wb") as target:
        source.seek(start)
        _crypt(source.read, target.write, key, encrypt=False)


def _volume_key(outer: Path) -> tuple[bytes, int]:
    """The volume's key, and where its content begins"""
    file = outer.with_name(f"{outer.name}.key")
    file.unlink(missing_ok=True)
    argv = ["cryptsetup", "luksDump", "-q", "--dump-volume-key", "--volume-key-file", str(file), "--key-file", "-"]
    text = _run([*argv, str(outer)], KEY.encode())
    start = next(int(line.split()[-1]) for line in text.splitlines() if line.startswith("Payload offset"))
    key = file.read_bytes()
    file.unlink()
    return key, start * 512


def _crypt(read: object, write: object, key: bytes, *, encrypt: bool) -> None:
    number = 0
    while piece := read(SECTOR):  # type: ignore[operator]
        cipher = Cipher(algorithms.AES(key), modes.XTS(struct.pack("<QQ", number, 0)))
        step = cipher.encryptor() if encrypt else cipher.decryptor()
        write(step.update(piece) + step.finalize())  # type: ignore[operator]
        number += 1


def _run(argv: Sequence[str], given: bytes = b"") -> str:
    done = subprocess.run(argv, input=given, capture_output=True, check=False)
    assert done.returncode == 0, f"{argv}: {done.stderr.decode()}{done.stdout.decode()}"
    return done.stdout.decode()
