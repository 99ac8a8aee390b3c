"""KVM or emulation: what to try, and what this host was found to be able to do

A /dev/kvm that opens is no proof: there are hosts on which the guest then hangs with its virtual CPU spinning. Only a
helper's hello is proof, so a KVM that missed its deadline is remembered, in the run folder, until the host boots again.
"""

from __future__ import annotations

import json
import os

from helper_host.log import Log

KVM, TCG, AUTO = "kvm", "tcg", "auto"
DEVICE = "/dev/kvm"
BOOT_ID = "/proc/sys/kernel/random/boot_id"
FILE = "accel.json"


def choose(setting: str, folder: str, log: Log) -> str:
    """kvm or tcg for `setting` (auto, kvm, tcg); `folder` is the run folder

    auto takes KVM if the device opens and has not failed since the host booted. kvm is taken at its word.
    """
    if setting != AUTO:
        return setting
    if not _opens(DEVICE):
        reason = f"{DEVICE} can't be opened"
    elif _failed_before(folder):
        reason = "KVM has failed since this host booted"
    else:
        return KVM
    log.warning(f"The helper VM runs under emulation, which is slower and a weaker boundary: {reason}")
    return TCG


def remember_failure(folder: str, log: Log) -> None:
    """A guest under KVM did not say hello in time: `choose` says tcg until the host boots again"""
    log.warning("The helper VM did not start under KVM; emulation is used until this host boots again")
    path = os.path.join(folder, FILE)
    temporary = f"{path}.{os.getpid()}"
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "w", encoding="ascii") as file:
            json.dump({"boot_id": _boot_id(), "kvm": "failed"}, file)
        os.replace(temporary, path)
    except OSError as error:
        log.warning(f"That could not be remembered in {path} ({error.strerror})")


def _opens(device: str) -> bool:
    try:
        os.close(os.open(device, os.O_RDWR | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _failed_before(folder: str) -> bool:
    try:
        with open(os.path.join(folder, FILE), encoding="ascii") as file:
            verdict = json.loads(file.read(4096))
    except (OSError, ValueError):
        return False
    return isinstance(verdict, dict) and verdict.get("boot_id") == _boot_id() and verdict.get("kvm") == "failed"


def _boot_id() -> str:
    with open(BOOT_ID, encoding="ascii") as file:
        return file.read().strip()
