"""LUKS 1 and 2: opened with the passphrase that was given, grown, by cryptsetup

The passphrase goes to cryptsetup's stdin and nowhere else. The volume's key stays out of the kernel's keyring: it is in
the mapping's table then, and growing needs no passphrase again.
"""

from __future__ import annotations

import json
import struct
from typing import Any

from helper_agent.disk import mapper
from helper_agent.disk.medium import Medium
from helper_agent.disk.signatures import Layer
from helper_agent.filesystems.base import Run
from helper_agent.run import CommandFailed

TIMEOUT = 600
"""Seconds: a passphrase is made slow to try, and an emulated guest is slow."""
WRONG_KEY, NO_MEMORY = 2, 3
"""cryptsetup(8), RETURN CODES."""
HEADER = 4096
"""Bytes of LUKS2's binary header, the text follows."""
TEXT_MAX = 4 << 20


def open_volume(device: str, name: str, key: str, run: Run) -> Layer | None:
    """The volume on `device` as the mapping `name`; None: the passphrase is not one of its

    Raises:
        TaskError: E-VOLUME
    """
    mapper.load("dm_crypt")
    _refuse_without_memory(device, smallest=True)
    argv = ["cryptsetup", "open", "--type", "luks", "--disable-keyring", "--batch-mode", "--tries", "1"]
    try:
        run([*argv, "--key-file", "-", device, name], input=key.encode(), timeout=TIMEOUT, env=mapper.ENVIRONMENT)
    except CommandFailed as error:
        if error.returncode == WRONG_KEY:
            return None
        if error.returncode in (NO_MEMORY, -9):
            _refuse_without_memory(device, smallest=False)
        raise mapper.broken(
            f"The encrypted volume on {device} can't be opened: cryptsetup ended with {error.reason}",
            "check it with cryptsetup luksDump on the machine that made the image",
            output=error.output,
        ) from None
    return Layer("luks", (device,), name, mapper.device(name))


def grow(layer: Layer, run: Run) -> None:
    """To the size of what it lies on

    Raises:
        TaskError: E-VOLUME
    """
    try:
        run(["cryptsetup", "resize", "--batch-mode", layer.name], env=mapper.ENVIRONMENT)
    except CommandFailed as error:
        raise mapper.broken(
            f"The encrypted volume on {layer.below[0]} can't be grown: {error}", "see above", output=error.output
        ) from None


def _refuse_without_memory(device: str, *, smallest: bool) -> None:
    """Argon2 takes the memory that the machine had on which the passphrase was set, up to 1 GiB

    Raises:
        TaskError: E-VOLUME
    """
    wanted = memory_kib(device)
    if not wanted:
        return
    needed = min(wanted) if smallest else max(wanted)
    with open("/proc/meminfo", encoding="ascii") as file:
        available = next(int(line.split()[1]) for line in file if line.startswith("MemAvailable:"))
    if needed > available or not smallest:
        raise mapper.broken(
            f"The helper has too little memory for the passphrase of the encrypted volume on {device}: "
            f"{needed >> 10} MiB are needed, {available >> 10} are free",
            f"raise the setting memory_mib by {max(needed - available, 0) + 65536 >> 10}, or set the passphrase with "
            "cryptsetup luksChangeKey --pbkdf-memory",
        )


def memory_kib(device: str) -> list[int]:
    """KiB that each passphrase's derivation needs, as the header says; empty where it needs none

    Raises:
        OSError
    """
    with Medium(device) as medium:
        head = medium.read_bytes(0, HEADER)
        version, size = struct.unpack_from(">HQ", head, 6)
        if version != 2 or not HEADER < size <= TEXT_MAX:
            return []
        text = medium.read_bytes(HEADER, size - HEADER).split(b"\0", 1)[0]
    try:
        slots: Any = json.loads(text)["keyslots"]
        found = [slot.get("kdf", {}).get("memory", 0) for slot in slots.values()]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        # cryptsetup has its own words for that
        return []
    return [one for one in found if type(one) is int and one > 0]
