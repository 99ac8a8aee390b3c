"""The boot code is what boot.asm says, and a real BIOS gets with it from the table to the partition

QEMU runs without acceleration and with SeaBIOS. What boots is a boot sector of the tests' own: it prints to the serial
port what it was given, and ends QEMU by its debug exit.
"""

from __future__ import annotations

import os
import struct
import subprocess
import threading
from pathlib import Path

import pytest

from helper_host.image import partitioning
from helper_host.image.partitioning.boot_code import BOOT_CODE
from helper_host.image.partitioning.gpt import Gpt
from helper_host.image.partitioning.layout import LINUX, WINDOWS
from helper_host.image.partitioning.msdos import ENTRIES, Msdos

pytestmark = pytest.mark.programs

MIB = 1 << 20
SOURCE = Path(partitioning.__file__).with_name("boot.asm")
EXIT_PORT = 0xF4
REACHED = 0x21
GIVEN_UP = b"No bootable device"
REPORT = f"""
        bits 16
        org 0x7c00
        jmp short start         ; as boot sectors of filesystems do
        times 0x3e - ($ - $$) db 0
start:
        mov al, "D"
        call put
        mov al, dl              ; the disk's number
        call hex
        mov al, "S"
        call put
        mov al, [si]            ; the entry, at DS:SI
        call hex
        mov al, [si + 4]
        call hex
        mov al, "B"
        call put
        mov al, [bp + 8 + 1]    ; and at DS:BP (SS is 0 as DS is): its start, second byte
        call hex
        mov al, 10
        call put
        mov al, {REACHED >> 1}
        out {EXIT_PORT}, al     ; QEMU ends with twice the number, and one more
        hlt
hex:
        push ax
        shr al, 4
        call digit
        pop ax
        and al, 15
digit:
        add al, "0"
        cmp al, "9"
        jbe put
        add al, 7
put:
        push dx
        mov dx, 0x3f8
        out dx, al
        pop dx
        ret
        times 510 - ($ - $$) db 0
        dw 0xaa55
"""


def assembled(source: str | Path, folder: Path) -> bytes:
    path = source if isinstance(source, Path) else folder / "source.asm"
    if isinstance(source, str):
        path.write_text(source)
    subprocess.run(["nasm", "-f", "bin", "-Werror", "-o", str(folder / "code"), str(path)], check=True)
    return (folder / "code").read_bytes()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return assembled(REPORT, tmp_path_factory.mktemp("report"))


def boot(path: Path, drive: str = "if=virtio") -> str:
    """What comes out at the serial port, where SeaBIOS shows what is printed on the screen, too"""
    argv = ["qemu-system-x86_64", "-accel", "tcg", "-nodefaults", "-display", "none", "-machine", "pc,graphics=off"]
    argv += ["-serial", "stdio", "-no-reboot", "-device", f"isa-debug-exit,iobase={EXIT_PORT},iosize=1"]
    argv += ["-net", "none", "-drive", f"{drive},format=raw,file={path}"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        # a BIOS that has nothing left to boot waits for a person
        clock = threading.Timer(30, process.kill)
        clock.start()
        assert process.stdout is not None
        said = b""
        while block := os.read(process.stdout.fileno(), 4096):
            said += block
            if GIVEN_UP in said:
                process.kill()
        clock.cancel()
    assert GIVEN_UP in said or process.returncode == REACHED, said
    return said.decode("latin-1")


def disk(path: Path, frame: Msdos | Gpt, filesystem: bytes) -> Path:
    path.write_bytes(frame.head(len(filesystem)) + filesystem + frame.tail(len(filesystem)))
    return path


def test_the_bytes_are_those_of_the_source(tmp_path: Path) -> None:
    assert assembled(SOURCE, tmp_path) == BOOT_CODE
    assert len(BOOT_CODE) <= 440


@pytest.mark.parametrize(
    ("drive", "number"),
    [("if=virtio", "80"), ("if=ide", "80"), ("if=floppy", "00")],
    ids=["virtio", "ide", "no extensions"],
)
def test_it_boots(tmp_path: Path, report: bytes, drive: str, number: str) -> None:
    """A floppy disk has no functions that take a sector's number: it is read by its geometry"""
    path = disk(tmp_path / "disk", Msdos(), report.ljust(1440 * 1024 - MIB, b"\0"))
    assert f"D{number}S8083B08" in boot(path, drive)


def test_the_geometry_is_the_disks_own(tmp_path: Path, report: bytes) -> None:
    """Of 36 sectors a track, and 20 cylinders before the partition"""
    path = disk(tmp_path / "disk", Msdos(WINDOWS), report.ljust(2880 * 1024 - MIB, b"\0"))
    assert "D00S8007B08" in boot(path, "if=floppy")


def test_a_partition_far_behind(tmp_path: Path, report: bytes) -> None:
    """Behind what cylinders can count, in another entry than the first"""
    path = disk(tmp_path / "disk", Msdos(), report)
    start = 10 * (1 << 30) // 512 + 0x800
    with path.open("r+b") as file:
        file.seek(ENTRIES)
        file.write(bytes(48) + struct.pack("<B3xB3xII", 0x80, 0x83, start, 1))
        file.seek(start * 512)
        file.write(report)
        file.truncate(11 << 30)
    assert "D80S8083B08" in boot(path)


@pytest.mark.parametrize(
    ("at", "change", "words"),
    [
        (ENTRIES, b"\0", "No partition is active"),
        (ENTRIES, b"\x7f", "The partition table is damaged"),
        (ENTRIES + 16, b"\x80", "The partition table is damaged"),
        (MIB + 510, b"\0\0", "The active partition has no boot sector"),
        (ENTRIES + 8, b"\0\0\0\x40", "The active partition can't be read"),
    ],
)
def test_what_it_says(tmp_path: Path, report: bytes, at: int, change: bytes, words: str) -> None:
    path = disk(tmp_path / "disk", Msdos(LINUX), report)
    with path.open("r+b") as file:
        file.seek(at)
        file.write(change)
    said = boot(path)
    assert words in said
    assert GIVEN_UP.decode() in said, "the BIOS has gone on"
