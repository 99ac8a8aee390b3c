"""What the disk layer has to know about a kind of filesystem

One `Filesystem` a kind, each in a file of its own, found by `of`. Looking never writes; repairing runs only where the
filesystem itself says it is needed, since every process costs and a clean one has nothing to gain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from helper_agent.api import Logger, TaskError
from helper_agent.records import NamedTuple
from helper_agent.run import CommandFailed, Completed

Run = Callable[..., Completed]


class Filesystem(NamedTuple):
    """How a kind of filesystem is looked at, used, repaired and grown"""

    name: str
    """For mount(2)."""
    modules: tuple[str, ...]
    """Kernel modules to load when the kernel doesn't know it."""
    look: str
    """Mount options for a look that writes nothing, not even a journal replayed; MS_RDONLY comes on top."""
    use: str
    """Mount options for work."""
    holds_system: bool = True
    """Whether it can be the root of a Linux system."""
    needs_repair: Callable[[str], bool] | None = None
    """`needs_repair(device)`: whether it says so itself. None: it has no such mark; a mount that fails is the sign."""
    repair: Callable[[str, Run, Logger], None] | None = None
    """`repair(device, run, log)`; raises TaskError E-FILESYSTEM. None: there is no tool that would help."""
    unsupported: Callable[[str], tuple[str, str] | None] | None = None
    """`unsupported(device)`, asked after a mount that failed: what the kernel can't do with it, and what to do instead;
    None: nothing that is known."""
    set_read_only: Callable[[str, bool], bool] | None = None
    """`set_read_only(mounted_at, wanted)`: have a snapshot take no changes, or take them; whether it was otherwise
    before. None: there is no such thing."""
    grow: Callable[[str, str], None] | None = None
    """`grow(device, mounted_at)`: to the device's size, mounted; raises OSError, or `Offline`. None: it can't grow."""
    grow_offline: Callable[[str, Run, Logger], None] | None = None
    """`grow_offline(device, run, log)`: the way to take after `Offline`, unmounted; raises TaskError E-FILESYSTEM."""


class Offline(Exception):
    """This filesystem can be grown unmounted alone; the message says why"""


def of(kind: str) -> Filesystem | None:
    """The `Filesystem` for blkid's type `kind`, None for one the helper doesn't mount"""
    if kind in ("ext2", "ext3", "ext4"):
        from helper_agent.filesystems.ext import EXT as found
    elif kind == "xfs":
        from helper_agent.filesystems.xfs import XFS as found
    elif kind == "btrfs":
        from helper_agent.filesystems.btrfs import BTRFS as found
    elif kind == "vfat":
        from helper_agent.filesystems.vfat import VFAT as found
    elif kind == "f2fs":
        from helper_agent.filesystems.f2fs import F2FS as found
    else:
        return None
    return found


def unknown_features(words: int, known: int, names: Mapping[int, str]) -> str:
    """The bits of `words` that aren't among `known`, by their names"""
    more = [bit for bit in range(words.bit_length()) if words >> bit & 1 and not known >> bit & 1]
    return ", ".join(names.get(bit, f"bit {bit}") for bit in more)


NEWER = "use an image made with the mkfs of an older system, or a helper image with a newer kernel"


def failed(device: str, error: CommandFailed, remedy: str) -> TaskError:
    """The error for a filesystem that `error`'s tool could not repair or grow"""
    return TaskError(
        f"The filesystem on {device} has errors that could not be repaired: {error}",
        remedy,
        code="E-FILESYSTEM",
        output=error.output,
    )
