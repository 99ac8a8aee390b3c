"""Parsers of OS parameters' values: pure, without I/O, each takes a text and returns what it means

Lists are separated by blanks or commas: on Ganeti's command line a comma ends the parameter unless it is written `\\,`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from helper_host.ganeti.environment import address_bits
from helper_host.log import printable

if TYPE_CHECKING:
    from helper_host.config_url import ConfigUrl
    from helper_host.custom_task import Custom
    from helper_host.ganeti.properties import Properties
    from helper_host.ganeti.task_options import Item
    from helper_host.image.integrity.checksum import Checksum
    from helper_host.image.integrity.reference import Reference

USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")
"""Of useradd(8), and capital letters, which other tools allow."""
TASK = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")
LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
"""RFC 1123 section 2.1."""
HOSTNAME_MAX = 253
PARTITION_MAX = 256
SWAP_MAX_MIB = 1 << 20
PASSWORD_MAX = 511
"""Bytes; CRYPT_MAX_PASSPHRASE_SIZE of libcrypt, less its NUL."""
FLAGS: Mapping[str, bool] = {
    **dict.fromkeys(("yes", "true", "1", "on"), True),
    **dict.fromkeys(("no", "false", "0", "off"), False),
}
B64 = "[./0-9A-Za-z]"
HASHES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"\$g?y\${B64}+\${B64}{{1,86}}\${B64}{{43}}",  # yescrypt, gost-yescrypt
        rf"\$7\${B64}{{11,97}}\${B64}{{43}}",  # scrypt
        rf"\$2[abxy]\$[0-9]{{2}}\${B64}{{53}}",  # bcrypt
        rf"\$6\$(rounds=[1-9][0-9]{{0,8}}\$)?[^$:\s!*;\\]{{1,16}}\${B64}{{86}}",  # sha512crypt
        rf"\$5\$(rounds=[1-9][0-9]{{0,8}}\$)?[^$:\s!*;\\]{{1,16}}\${B64}{{43}}",  # sha256crypt
        rf"\$1\$[^$:\s!*;\\]{{1,8}}\${B64}{{22}}",  # md5crypt
    )
)
"""crypt(5); its older methods have no sign by which to tell them from a mistake."""


class Invalid(ValueError):
    """A value is not valid: `why` follows the quoted value, `remedy` says what to give

    `vague` is `why` for those who may not see the value, where that quotes a part of it.
    """

    def __init__(self, why: str, remedy: str, *, vague: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.remedy = remedy
        self.vague = vague or why


class Swap(NamedTuple):
    """Swap space to make"""

    kind: str
    """file, partition or disk."""
    mib: int
    """0 where it follows from the memory or the disk."""
    of_memory: bool = False
    """As large as the instance's memory."""
    disk: int = 0
    """Ganeti's index of the disk that is swap."""
    number: int = 0
    """The partition's, 0 for the next one."""


def quote(text: str, limit: int) -> str:
    """A value as the user typed it, between quotes, on one line, cut to `limit` characters"""
    return f"'{printable(text)}'" if len(text) <= limit else f"'{printable(text[:limit])}...'"


def check_text(text: str, *, newlines: bool) -> None:
    """What no value may have; raises Invalid"""
    allowed = "\n\r\t" if newlines else ""
    if any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        raise Invalid("is not UTF-8", "look at the terminal's character set")
    for character in text:
        if (ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0) and character not in allowed:
            what = "a newline" if character == "\n" else "control characters"
            raise Invalid(f"has {what} in it", "give it without them")


def base64(text: str) -> bytes:
    """What it says in base64, broken into lines or not; ValueError where it is none"""
    from binascii import a2b_base64

    return a2b_base64("".join(text.split()), strict_mode=True)


def words(text: str) -> tuple[str, ...]:
    """The items of a list, each once, in order"""
    return tuple(dict.fromkeys(filter(None, re.split(r"(?:\s|\\?,)+", text))))


def image(text: str) -> str:
    """An image reference; whether it exists is seen later"""
    from helper_host.image import sources

    reference = text.strip()
    sources.check(reference)
    return reference


def shown_image(text: str) -> str:
    """The reference without what may be secret in a URL"""
    from helper_host.image.sources.shown import shown

    return shown(text)


def image_format(text: str) -> str:
    """A format's name, maybe with a compression behind it, or auto; `formats.names.parse` says what it means"""
    from helper_host.image.formats import names

    name = text.strip().lower()
    try:
        names.parse(name)
    except ValueError:
        raise Invalid("is not known", f"give one of {names.HELP}") from None
    return name


def partition(text: str) -> str:
    """Which table goes around an image that is one filesystem"""
    from helper_host.image.partitioning import choice

    return _choice(text.lower(), choice.CHOICES)


def image_checksum(text: str) -> Checksum | Reference | None:
    """ALGORITHM:HEX, or where a list of checksums is"""
    from helper_host.image.integrity import checksum, reference

    return checksum.parse(text) if checksum.is_one(text) else reference.parse(text)


def image_signature(text: str) -> Reference | None:
    """Where a signature is"""
    from helper_host.image.integrity import reference

    return reference.parse(text)


def os_family(text: str) -> str:
    """linux, or "" for auto"""
    family = _choice(text, ("auto", "linux"))
    return "" if family == "auto" else family


def root_partition(text: str) -> str:
    """A partition's number, or none"""
    number = text.strip()
    if number == "none":
        return number
    if not re.fullmatch("[0-9]{1,3}", number, re.ASCII) or not 1 <= int(number) <= PARTITION_MAX:
        raise Invalid("is not a partition's number", "give a number such as 1, or none for a disk without partitions")
    return str(int(number))


def users(text: str) -> tuple[str, ...]:
    """Names of users"""
    names = words(text)
    for name in names:
        if not USER.fullmatch(name):
            raise _wrong(name, "user's name", "give names such as: root debian")
    return _some(names, "root")


def password(text: str) -> str:
    """A password, as it is"""
    if len(text.encode()) > PASSWORD_MAX:
        raise Invalid(f"is longer than {PASSWORD_MAX} bytes", "give a shorter one")
    return text


def password_hash(text: str) -> str:
    """A crypt(5) hash"""
    value = text.strip()
    if not any(pattern.fullmatch(value) for pattern in HASHES):
        raise Invalid(
            "is not a crypt(5) hash",
            "give all of what `mkpasswd -m yescrypt` or `openssl passwd -6` prints, between single quotes",
        )
    return value


def hostname(text: str) -> str:
    """A hostname or a fully qualified one (RFC 1123)"""
    name = text.strip()
    if not _is_domain(name):
        raise Invalid("is not a hostname", "give letters, digits and dashes, with dots between: www.example.org")
    if all(label.isdigit() for label in name.split(".")):
        raise Invalid("is not a hostname but a number", "give a name such as www.example.org")
    return name


def task_names(text: str) -> tuple[str, ...]:
    """Names of tasks; which there are the helper knows"""
    names = words(text)
    for name in names:
        if not TASK.fullmatch(name):
            raise _wrong(name, "task's name", "give names such as: host-keys")
    return _some(names, "host-keys")


def task_options(text: str) -> tuple[Item, ...]:
    """Options of tasks; whether there are such is seen later"""
    from helper_host.ganeti import task_options

    return task_options.parse(text)


def custom_task(text: str) -> Custom | None:
    """A task in base64, or where to fetch it"""
    from helper_host import custom_task

    return custom_task.parse(text)


def config_url(text: str) -> ConfigUrl | None:
    """Where further parameters are"""
    from helper_host import config_url

    return config_url.parse(text)


def properties(text: str) -> Properties | None:
    """snf-image's image properties"""
    from helper_host.ganeti import properties

    return properties.parse(text)


def flag(text: str) -> bool:
    """yes or no, as people write them"""
    value = text.strip().lower()
    if value not in FLAGS:
        raise Invalid("is neither yes nor no", "give yes or no")
    return FLAGS[value]


def addresses(text: str) -> tuple[str, ...]:
    """IPv4 and IPv6 addresses"""
    items = words(text)
    for item in items:
        if not address_bits(item):
            raise _wrong(item, "IP address", "give addresses such as: 192.0.2.53")
    return _some(items, "192.0.2.53")


def domains(text: str) -> tuple[str, ...]:
    """Domain names"""
    items = words(text)
    for item in items:
        if not _is_domain(item.removesuffix(".")):
            raise _wrong(item, "domain", "give domains such as: example.org")
    return _some(items, "example.org")


def _wrong(item: str, kind: str, remedy: str) -> Invalid:
    return Invalid(
        f"has {quote(item, 40)} in it, which is no {kind}", remedy, vague=f"has something in it that is no {kind}"
    )


def _some(items: tuple[str, ...], example: str) -> tuple[str, ...]:
    if not items:
        raise Invalid("has nothing in it", f"give for example {example}, or leave the parameter out")
    return items


def _is_domain(name: str) -> bool:
    return 0 < len(name) <= HOSTNAME_MAX and all(LABEL.fullmatch(label) for label in name.split("."))


def _choice(text: str, choices: tuple[str, ...]) -> str:
    value = text.strip()
    if value not in choices:
        raise Invalid("is not known", f"give one of {', '.join(choices)}")
    return value
