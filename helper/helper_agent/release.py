"""Which system a tree says it is: os-release(5), or the release files that are older"""

from __future__ import annotations

from collections.abc import Mapping

from helper_agent.api import TaskError
from helper_agent.root import Root

RELEASE_FILES = ("/etc/os-release", "/usr/lib/os-release")
OLD_RELEASE_FILES: Mapping[str, str] = {
    "/etc/debian_version": "debian",
    "/etc/alpine-release": "alpine",
    "/etc/redhat-release": "rhel",
    "/etc/SuSE-release": "suse",
    "/etc/gentoo-release": "gentoo",
    "/etc/arch-release": "arch",
    "/etc/slackware-version": "slackware",
}
"""Systems older than os-release, or without one: file -> the ID an os-release would have."""


def read(root: Root, paths: tuple[str, ...] = RELEASE_FILES) -> Mapping[str, str]:
    """The os-release of the tree, empty where it has none"""
    for path in paths:
        if content := text(root, path):
            return parse_os_release(content)
    return {}


def older(root: Root) -> Mapping[str, str]:
    """What an os-release would say, by one of the older release files; empty where there is none"""
    for path, name in OLD_RELEASE_FILES.items():
        if root.is_file(path):
            return {"ID": name, "VERSION_ID": (text(root, path).split() or [""])[0]}
    return {}


def text(root: Root, path: str) -> str:
    """A file's text, "" where it isn't there or isn't a file: nobody has said yet that this is a system"""
    try:
        return root.read_text_or(path)
    except (TaskError, OSError):
        return ""


def parse_os_release(text: str) -> dict[str, str]:
    """The assignments of an os-release(5) file"""
    found = {}
    for line in text.splitlines()[:200]:
        name, equals, value = line.strip().partition("=")
        if equals and name.isidentifier():
            found[name] = _unquote(value)
    return found


def _unquote(value: str) -> str:
    value = value.strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        quote, value = value[0], value[1:-1]
        if quote == "'":
            return value
    for character in '"$`\\':
        value = value.replace(f"\\{character}", character)
    return value
