"""What differs between operating systems: facts and methods of one class, which is also the fallback

A distribution is a file in this folder with a class that changes what it does differently and names it `DISTRO`; a
derivative is a class of a few lines on top of its parent's. `MODULES` says which os-release ID belongs to which file.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from helper_agent.root import Root

MODULES: Mapping[str, str] = {
    "debian": "debian",
    "raspbian": "debian",
    "kali": "debian",
    "parrot": "debian",
    "pureos": "debian",
    "mx": "debian",
    "astra": "debian",
    "ubuntu": "ubuntu",
    "pop": "ubuntu",
    "elementary": "ubuntu",
    "neon": "ubuntu",
    "zorin": "ubuntu",
    "devuan": "devuan",
    "rhel": "rhel",
    "centos": "centos",
    "almalinux": "alma",
    "rocky": "rocky",
    "ol": "oracle",
    "scientific": "rhel",
    "eurolinux": "rhel",
    "virtuozzo": "rhel",
    "cloudlinux": "rhel",
    "springdale": "rhel",
    "fedora": "fedora",
    "fedora:coreos": "coreos",
    "rhcos": "coreos",
    "scos": "coreos",
    "amzn": "amazon",
    "opensuse": "opensuse",
    "opensuse-leap": "opensuse",
    "opensuse-leap-micro": "opensuse",
    "opensuse-tumbleweed": "opensuse",
    "opensuse-slowroll": "opensuse",
    "opensuse-microos": "opensuse",
    "suse": "sles",
    "sles": "sles",
    "sles_sap": "sles",
    "sled": "sles",
    "sle_hpc": "sles",
    "sle-micro": "sles",
    "sl-micro": "sles",
    "arch": "arch",
    "archarm": "arch",
    "endeavouros": "arch",
    "manjaro": "arch",
    "artix": "artix",
    "alpine": "alpine",
    "postmarketos": "alpine",
    "gentoo": "gentoo",
    "funtoo": "gentoo",
    "calculate": "gentoo",
    "slackware": "slackware",
    "salix": "slackware",
    "void": "void",
    "nixos": "nixos",
    "guix": "guix",
    "flatcar": "flatcar",
    "coreos": "flatcar",
}
"""os-release ID, or ID:VARIANT_ID -> module of this package; files are imported when they are needed, which saves boot
time. Linux Mint is not here: it says by ID_LIKE whether it is made of Ubuntu or of Debian."""

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
SSHD = ("/usr/sbin/sshd", "/usr/bin/sshd")
MUSL = "/lib/ld-musl-*.so.1"
MUSL_KNOWS = ("$2a$", "$2b$", "$2x$", "$2y$")
"""What musl's crypt(3), which is in its libc, knows beside `UNIVERSAL`."""


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

    renderers: tuple[str, ...] = ("netplan", "networkd", "ifupdown", "networkmanager", "dhcpcd")
    """Modules of `helper_agent.net` that can configure its network, the usual one first; the image's content decides
    between them."""

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
    """Where grub's settings are, from which its configuration is made: patterns, in the order they are read."""
    grub_mkconfig: tuple[tuple[str, str], ...] = (
        ("/usr/sbin/grub2-mkconfig", "/boot/grub2/grub.cfg"),
        ("/usr/sbin/grub-mkconfig", "/boot/grub/grub.cfg"),
        ("/usr/bin/grub-mkconfig", "/boot/grub/grub.cfg"),
    )
    """Programs of the image that print grub's configuration, and where that belongs; the first that is there counts."""

    mkfs_options: Mapping[str, tuple[str, ...]] = {
        "ext4": ("-O", "^metadata_csum_seed,^orphan_file"),
        "xfs": ("-m", "bigtime=0,inobtcount=0"),
    }
    """Filesystem -> arguments for the helper's mkfs, so that the system's own kernel and fsck know what it makes:
    without what came after Linux 5.4 here."""

    immutable = ""
    """Why files below /etc that are written now don't last, or are of no use (NixOS, Guix); "" where they are."""

    hostname_also: tuple[str, ...] = ()
    """Further files that hold the hostname alone, written where they exist, since they count more there."""
    first_boot = False
    """Whether the system sets itself up at its first boot and knows that by the machine ID that isn't there yet
    (Ignition): then it must not get an empty one."""

    def __init__(self, os_release: Mapping[str, str]) -> None:
        self.id = os_release.get("ID", "") or "linux"
        self.ids = (self.id, *os_release.get("ID_LIKE", "").split())
        """os-release's ID and what the system says it is like."""
        self.version = os_release.get("VERSION_ID", "")
        self.base_version = self.version
        """Of the system that it is a rebuild of, which facts go by; a rebuild may count in its own way."""
        self.name = os_release.get("PRETTY_NAME", "") or os_release.get("NAME", "") or self.id

    def look(self, root: Root) -> None:
        """Settle the facts that the image's content decides; called once by `detect`"""

    def before(self, *version: int) -> bool:
        """Whether the system's version is known, and lower than `version`; a rolling one is as new as can be"""
        parts = self.base_version.split(".")
        numbers = [int(part) for part in parts if part.isascii() and part.isdigit() and len(part) < 9]
        return bool(numbers) and numbers < list(version)

    def lasts(self, root: Root, path: str) -> bool:  # noqa: ARG002
        """Whether what is written to `path` now is still there after the system has booted; see `immutable`"""
        return True

    def keeps_passwords(self, root: Root) -> bool:  # noqa: ARG002
        """Whether a password that is set in shadow(5) is still there after the system has booted"""
        return True

    def hostname_in(self, text: str) -> str:
        """The name that the text of `hostname_file` gives, "" for none"""
        if self.hostname_key:
            from helper_agent.release import assignments

            return assignments(text).get(self.hostname_key, "")
        names = (line.partition("#")[0].strip() for line in text.split("\n"))
        return next(filter(None, names), "")

    def has_sshd(self, root: Root) -> bool:
        """Whether OpenSSH's server is installed"""
        from helper_agent.distros import sshd

        return any(map(root.exists, (sshd.read_from(root, self.sshd_config), *SSHD)))

    def host_key_owner(self, root: Root) -> tuple[int, int | str]:
        """Permission bits and group of sshd's private keys in this image, which may lack `host_key_group`"""
        from helper_agent.distros import groups

        group = self.host_key_group
        if group and group in groups.read(root):
            return self.host_key_mode, group
        return (0o600, 0) if group else (self.host_key_mode, 0)

    def verifies(self, root: Root, hashed: str) -> bool:
        """Whether the image's crypt(3) knows the method of the password hash `hashed`

        Looked up in the library itself, since neither login.defs nor PAM's files say what it can do (Debian 11 and 12
        have SHA512 in the one and yescrypt in the others): libxcrypt has the prefixes of its methods as strings.
        """
        prefix = hashed[: hashed.find("$", 1) + 1] if hashed.startswith("$") else ""
        if prefix in UNIVERSAL or not prefix:
            return bool(prefix)
        if prefix in MUSL_KNOWS and root.glob(MUSL):
            return True
        words = (prefix.encode() + b"\0", prefix[:-1].encode() + b"\0")  # libxcrypt calls one of them $sha1
        libraries = {path for pattern in LIBCRYPTS for path in root.glob(pattern) if root.is_file(path)}
        contents = (root.read(path, limit=LIBCRYPT_MAX) for path in sorted(libraries))
        return any(word in content for content in contents for word in words)


def detect(os_release: Mapping[str, str], root: Root | None = None) -> Distro:
    """The distribution that an image's os-release(5) speaks of: its ID, else the first known ID it is like, else what
    its older release files say

    Never fails: `Distro.known` is False where only the fallback is left.
    """
    older: Mapping[str, str] = {}
    fallback = Distro(os_release)
    module = _module(os_release, fallback.ids)
    if module is None and root is not None:
        from helper_agent import release

        older = release.older(root)
        os_release = os_release or older
        module = MODULES.get(older.get("ID", ""))
    distro = import_module(f"helper_agent.distros.{module}").DISTRO(os_release) if module else Distro(os_release)
    if root is not None:
        distro.look(root)
    return cast(Distro, distro)


def _module(os_release: Mapping[str, str], ids: tuple[str, ...]) -> str | None:
    names = (f"{ids[0]}:{os_release.get('VARIANT_ID', '')}", *ids)
    return next((MODULES[name] for name in names if name in MODULES), None)
