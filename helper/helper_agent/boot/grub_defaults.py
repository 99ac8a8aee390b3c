"""grub's settings, shell files from which its configuration is made: /etc/default/grub, and Debian's grub.d"""

from __future__ import annotations

from collections.abc import Sequence

from helper_agent.boot import shell_settings
from helper_agent.boot.arguments import Change
from helper_agent.boot.words import Unclosed
from helper_agent.root import Root

ALWAYS, NORMAL = "GRUB_CMDLINE_LINUX", "GRUB_CMDLINE_LINUX_DEFAULT"
"""The command line is ALWAYS' words, and then NORMAL's, which recovery entries don't get."""


def files(root: Root, patterns: Sequence[str]) -> list[str]:
    """Those that are there, in the order in which grub-mkconfig reads them"""
    return [path for pattern in patterns for path in root.glob(pattern) if root.is_file(path)]


def change(root: Root, paths: Sequence[str], changes: Sequence[Change], consoles: Sequence[str]) -> bool:
    """The command line of the files `paths` changed; whether there was anything to change

    Raises:
        TaskError: a quote that isn't closed, in the shell's eyes or in GRUB's; or as `Root.edit`
        OSError: as `Root.edit`
    """
    if not paths:
        return False
    texts = {path: root.read_text(path) for path in paths}
    for path, text in texts.items():
        shell_settings.check(path, text)
    texts = shell_settings.with_home(texts, ALWAYS, paths[0])
    try:
        different = shell_settings.changed(texts, (ALWAYS, NORMAL), changes, consoles)
    except Unclosed as error:
        raise error.at(next(path for path in paths if error.text in texts[path])) from None
    for path, text in different.items():
        root.write(path, text)
    return bool(different)


def set_value(root: Root, paths: Sequence[str], name: str, value: str) -> bool:
    """The variable `name` set where it is set last, else in the first file; whether that changed anything

    Raises:
        TaskError, OSError: as `Root.edit`
    """
    found = [path for path in paths if shell_settings.find({path: root.read_text(path)}, name)]
    return bool(paths) and root.set_key((found or list(paths))[-1 if found else 0], name, f'"{value}"')
