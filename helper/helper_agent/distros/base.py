"""What differs between operating systems: facts and methods of one class, which is also the fallback

A distribution is a file in this folder with a class that changes what it does differently and names it `DISTRO`; a
derivative is a class of a few lines on top of its parent's. `MODULES` says which os-release ID belongs to which file.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from helper_agent.root import Root

MODULES: Mapping[str, str] = {
    "debian": "debian",
    "raspbian": "debian",
    "ubuntu": "ubuntu",
    "devuan": "devuan",
}
"""os-release ID -> module of this package; files are imported when they are needed, which saves boot time."""

LIBCRYPTS = (
    "/lib/*-linux-*/libcrypt.so.[12]",
    "/lib64/libcrypt.so.[12]",
    "/lib/libcrypt.so.[12]",
    "/usr/lib64/libcrypt.so.[12]",
    "/usr/lib/libcrypt.so.[12]",
)
LIBCRYPT_MAX = 4 * 1024 * 1024
"""Bytes; Debian 12's has 200 KB."""

UNIVERSAL = ("$1$", "$5$", "$6$")
"""Prefixes of password hashes that every libc of the last fifteen years verifies (crypt(5))."""


class Distro:
    """A Linux system nothing more is known of

    Args:
        os_release: the image's os-release(5)
    """

    known = False
    """Whether a file of this package is about it; otherwise what follows is a good guess."""
    family = "linux"
    """OS family."""

    hostname_file = "/etc/hostname"
    """Where the hostname is."""
    hostname_is_fqdn = False
    """Whether `hostname_file` holds the whole name; Debian's manual and installer want the first label there, and the
    whole name in hosts, from where `hostname --fqdn` takes it."""
    own_address = "127.0.1.1"
    """Address of the line in /etc/hosts that gives the system its own name; "" for none."""

    hostname_key = ""
    """Where `hostname_file` is a shell file, the variable that holds the name (Gentoo's OpenRC); "": the name alone."""

    renderers: tuple[str, ...] = ("netplan", "networkd", "ifupdown", "networkmanager")
    """Modules of `helper_agent.net` that can configure its network; the image's content decides between them."""

    sshd_config = "/etc/ssh/sshd_config"
    """Where sshd's configuration is."""
    host_key_mode = 0o600
    """Permission bits of sshd's private keys."""
    host_key_group = ""
    """Group of sshd's private keys; "" for root's."""
    sshd_services: tuple[str, ...] = ("sshd", "ssh")
    """Names that sshd's service may have, the usual one first."""

    admin_groups: tuple[str, ...] = ("sudo", "wheel", "admin")
    """Groups whose members administer the system, the usual one first; those that the image has count."""

    zone_files: tuple[str, ...] = ()
    """Files that hold the time zone's name alone, beside /etc/localtime (Debian's /etc/timezone)."""
    zone_key: tuple[str, str] = ("", "")
    """File and variable that hold the time zone's name, beside /etc/localtime (/etc/sysconfig/clock, ZONE)."""
    locale_files: tuple[str, ...] = ("/etc/locale.conf",)
    """Files of LANG=..., the first of which counts and is made where none is there."""
    keyboard_files: tuple[str, ...] = ("/etc/vconsole.conf",)
    """Files for the keyboard's layout, by which `tasks.keyboard` knows their form; the first that exists counts."""

    grub_defaults: tuple[str, ...] = ("/etc/default/grub",)
    """Where grub's settings are, from which its configuration is made."""
    grub_mkconfig: tuple[tuple[str, ...], ...] = (
        ("/usr/sbin/update-grub",),
        ("/usr/sbin/grub2-mkconfig", "-o", "/boot/grub2/grub.cfg"),
        ("/usr/sbin/grub-mkconfig", "-o", "/boot/grub/grub.cfg"),
    )
    """Commands of the image that make grub's configuration anew; the first whose program is there counts."""

    immutable = ""
    """Why files below /etc that are written now don't last, or are of no use (NixOS, Guix); "" where they are."""

    def __init__(self, os_release: Mapping[str, str]) -> None:
        self.id = os_release.get("ID", "") or "linux"
        self.ids = (self.id, *os_release.get("ID_LIKE", "").split())
        """os-release's ID and what the system says it is like."""
        self.version = os_release.get("VERSION_ID", "")
        self.name = os_release.get("PRETTY_NAME", "") or os_release.get("NAME", "") or self.id

    def verifies(self, root: Root, hashed: str) -> bool:
        """Whether the image's crypt(3) knows the method of the password hash `hashed`

        Looked up in the library itself, since neither login.defs nor PAM's files say what it can do (Debian 11 and 12
        have SHA512 in the one and yescrypt in the others): libxcrypt has the prefixes of its methods as strings.
        """
        prefix = hashed[: hashed.find("$", 1) + 1] if hashed.startswith("$") else ""
        if prefix in UNIVERSAL or not prefix:
            return bool(prefix)
        libraries = {path for pattern in LIBCRYPTS for path in root.glob(pattern) if root.is_file(path)}
        return any(prefix.encode() + b"\0" in root.read(path, limit=LIBCRYPT_MAX) for path in sorted(libraries))


def detect(os_release: Mapping[str, str], root: Root | None = None) -> Distro:
    """The distribution that an image's os-release(5) speaks of: its ID, else the first known ID it is like

    Never fails: `Distro.known` is False where only the fallback is left. Without an os-release, `root` is asked.
    """
    if not os_release and root is not None and root.is_file("/etc/debian_version"):
        os_release = {"ID": "debian", "VERSION_ID": root.read_text("/etc/debian_version").strip()}
    fallback = Distro(os_release)
    module = next((MODULES[name] for name in fallback.ids if name in MODULES), None)
    if module is None:
        return fallback
    distro: Distro = import_module(f"helper_agent.distros.{module}").DISTRO(os_release)
    return distro
