"""The kernel's command line, changed wherever an image's boot loader may have it

In what the boot loader reads at the next boot, and in what that is made from when a kernel is updated. Nothing of the
image is run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from helper_agent.boot import bls, extlinux, grub_cfg, grub_defaults
from helper_agent.boot.arguments import Change
from helper_agent.boot.words import Unclosed
from helper_agent.distros.base import Distro
from helper_agent.records import NamedTuple
from helper_agent.root import Root


class Place(NamedTuple):
    """Files of one form that have command lines in them"""

    patterns: tuple[str, ...]
    change: Callable[[str, Sequence[Change], Sequence[str]], str]
    """`change(text, changes, consoles)`: the new text."""
    has: Callable[[str], bool]
    """Whether a text has a command line."""


READ_AT_BOOT = (
    Place(grub_cfg.PATHS, grub_cfg.change, grub_cfg.has_kernels),
    Place(grub_cfg.LEGACY, grub_cfg.change_legacy, grub_cfg.has_legacy_kernels),
    Place(bls.ENTRIES, bls.change, bls.has_options),
    Place(bls.GRUBENVS, bls.change_grubenv, bls.has_kernelopts),
    Place(extlinux.PATHS, extlinux.change, extlinux.has_append),
)
SOURCES = (
    Place(bls.CMDLINES, bls.change_cmdline, bls.is_cmdline),
    Place(extlinux.SOURCES, extlinux.change_source, bool),
)
"""What new entries are made from, beside grub's settings."""


def change(root: Root, distro: Distro, changes: Sequence[Change], consoles: Sequence[str] = ()) -> list[str]:
    """Apply `changes`, and make `consoles` (console=...) the last consoles; the files that have it at the next boot

    Raises:
        TaskError: a file of another kind than it should be; no room in grubenv; a quote that isn't closed, where it
            can't be told what is in it
        OSError
    """
    found = [path for place in READ_AT_BOOT for path in _edited(root, place, changes, consoles)]
    for place in SOURCES:
        _edited(root, place, changes, consoles)
    grub_defaults.change(root, grub_defaults.files(root, distro.grub_defaults), changes, consoles)
    return found


def _edited(root: Root, place: Place, changes: Sequence[Change], consoles: Sequence[str]) -> list[str]:
    found = []
    for path in (path for pattern in place.patterns for path in root.glob(pattern)):
        if root.is_file(path) and place.has(root.read_text(path)):
            try:
                root.edit(path, lambda text: place.change(text, changes, consoles))
            except Unclosed as error:
                raise error.at(path) from None
            found.append(path)
    return found
