"""Which system a tree says it is: os-release(5), or the release files that are older"""

from __future__ import annotations

import re
from collections.abc import Mapping

from helper_agent.api import TaskError
from helper_agent.root import Root

RELEASE_FILES = (
    "/etc/os-release",
    "/usr/lib/os-release",
    # before their first boot NixOS and Guix have nothing below /etc
    "/nix/var/nix/profiles/system/etc/os-release",
    "/var/guix/profiles/system/etc/os-release",
)
OLD_RELEASE_FILES: Mapping[str, str] = {
    "/etc/oracle-release": "ol",
    "/etc/centos-release": "centos",
    "/etc/fedora-release": "fedora",
    "/etc/system-release": "rhel",
    "/etc/redhat-release": "rhel",
    "/etc/SuSE-release": "suse",
    "/etc/alpine-release": "alpine",
    "/etc/gentoo-release": "gentoo",
    "/etc/slackware-version": "slackware",
    "/etc/NIXOS": "nixos",
    "/etc/devuan_version": "devuan",
    "/etc/lsb-release": "",
    "/etc/debian_version": "debian",
    "/etc/arch-release": "arch",
    "/usr/bin/xbps-install": "void",
}
"""Systems older than os-release, or without one: file -> the ID an os-release would have, where the file doesn't say.
Those that others have too come last: Oracle's redhat-release speaks of Red Hat, Ubuntu has a debian_version."""

TOLD_MAX = 1000
"""Characters that are looked at."""
NAMED = {
    "amazon": "amzn",
    "red": "rhel",
    "oracle": "ol",
    "linuxmint": "linuxmint",
    "manjarolinux": "manjaro",
    "opensuse": "opensuse",
    "cloudlinux": "cloudlinux",
    "almalinux": "almalinux",
}
"""First word of a release file's text, in lower case -> ID; other words are IDs as they are (CentOS, Fedora, Rocky)."""
SUSE = (("SUSE Linux Enterprise Server", "sles"), ("SUSE Linux Enterprise Desktop", "sled"), ("openSUSE", "opensuse"))


def read(root: Root, paths: tuple[str, ...] = RELEASE_FILES) -> Mapping[str, str]:
    """The os-release of the tree, empty where it has none"""
    for path in paths:
        if content := text(root, path):
            return assignments(content)
    return {}


def older(root: Root) -> Mapping[str, str]:
    """What an os-release would say, by one of the older release files; empty where there is none"""
    for path, name in OLD_RELEASE_FILES.items():
        if root.is_file(path):
            found = _told(path, name, text(root, path) if path.startswith("/etc/") else "")
            if found.get("ID"):
                return found
    return {"ID": "guix"} if root.is_dir("/gnu/store") else {}


def _told(path: str, name: str, content: str) -> Mapping[str, str]:
    """The fields of an os-release that an older file's text speaks of"""
    content = content[:TOLD_MAX]
    line = content.strip().split("\n")[0].strip()
    if path == "/etc/lsb-release":
        fields = assignments(content)
        name = fields.get("DISTRIB_ID", "").lower()
        version, line = fields.get("DISTRIB_RELEASE", ""), fields.get("DISTRIB_DESCRIPTION", "")
        return _fields(NAMED.get(name, name), "" if version == "rolling" else version, line)
    if path == "/etc/SuSE-release":
        name = next((short for long, short in SUSE if line.startswith(long)), name)
        fields = dict(re.findall(r"^(VERSION|PATCHLEVEL) *= *(\S+)", content, re.M))
        level = fields.get("PATCHLEVEL", "0")
        return _fields(name, fields.get("VERSION", "") + (f".{level}" if level != "0" else ""), line)
    if path.endswith("-release") and (found := re.match(r"([A-Za-z]+).* release (\d[\w.]*)", line)):
        word = found[1].lower()
        # "Derived from Red Hat Enterprise Linux 6.5" and the like are some rebuild's
        known = word in NAMED or word in ("centos", "fedora", "rocky", "scientific", "virtuozzo", "eurolinux")
        return _fields(NAMED.get(word, word) if known else name, found[2], line)
    version = next(iter(re.findall(r"(?:^|\s)(\d+(?:\.\d+)*)", line)), "")
    return _fields(name, version, line if " " in line else "")


def _fields(name: str, version: str, pretty: str) -> Mapping[str, str]:
    fields = {"ID": name, "VERSION_ID": version, "PRETTY_NAME": pretty}
    return {key: value for key, value in fields.items() if value}


def text(root: Root, path: str) -> str:
    """A file's text, "" where it isn't there or isn't a file: nobody has said yet that this is a system"""
    try:
        return root.read_text_or(path)
    except (TaskError, OSError):
        return ""


def assignments(text: str) -> dict[str, str]:
    """What a file of a shell's assignments sets, os-release(5) and the like; nothing is expanded"""
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
