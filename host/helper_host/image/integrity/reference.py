"""Where a list of checksums or a signature is: a URL, an absolute path, or a name next to what it belongs to

A name is looked for in the folder of the image, wherever that is from: the store, an allowed folder, a server. So one
default in the settings, `image_checksum = "SHA256SUMS"`, fits every image whose publisher puts such a file next to it.
A `%` in a name stands for the image's file name, as in Make: `%.asc`.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from helper_host import http
from helper_host.ganeti.values import Invalid

HTTP = ("https", "http")
LOCAL = ("file", "local")
"""Schemes of what is on the node."""
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
NAME = re.compile(r"[A-Za-z0-9%][A-Za-z0-9._+@~%-]{0,199}")
"""As names in the store, and a `%`."""
DIGITS = re.compile(r"[0-9A-Fa-f]{32,}")
PATH_MAX = 4095


class Reference(NamedTuple):
    """A parsed one"""

    text: str
    """May hold user and password: never shown."""

    @property
    def shown(self) -> str:
        """For people"""
        return http.shown(self.text) if is_url(self.text) else self.text

    def __repr__(self) -> str:
        return f"Reference({self.shown})"


class Whereabouts(NamedTuple):
    """What a reference is next to"""

    folder: str
    """Path or URL of its folder, with a slash at the end; may hold user and password."""
    image: str
    """The image's path or the path in its URL, decoded; its last part is the file name."""

    @property
    def file_name(self) -> str:
        """What a list of checksums calls the image"""
        return self.image.rpartition("/")[2]


def is_url(text: str) -> bool:
    """Whether it begins with a scheme"""
    return SCHEME.match(text) is not None


def parse(text: str) -> Reference:
    """Look at a reference's syntax; no I/O

    Raises:
        Invalid: with nothing of a URL in it
    """
    value = text.strip()
    if is_url(value):
        scheme, rest = value.split("://", 1)
        value = f"{scheme.lower()}://{rest}"
        if scheme.lower() in HTTP:
            try:
                http.parts(value, HTTP)
            except ValueError as error:
                raise Invalid(f"is a URL that {error}", "give the URL of the file itself") from None
        elif not value.isprintable() or len(value) > http.URL_MAX:
            raise Invalid("is not a URL", "give for example https://images.example.org/SHA256SUMS")
    elif value.startswith("/"):
        if not value.isprintable() or len(os.fsencode(value)) > PATH_MAX or ".." in value.split("/"):
            raise Invalid("is not a path, or has .. in it", "give the file's own path")
    elif DIGITS.fullmatch(value):
        raise Invalid("doesn't say which checksum it is", "write sha256: or sha512: before it")
    elif not NAME.fullmatch(value) or value.count("%") > 1:
        raise Invalid(
            "is neither a URL nor a path nor a file's name",
            "give for example https://images.example.org/SHA256SUMS, /srv/images/SHA256SUMS, or SHA256SUMS for a file"
            " next to the image",
        )
    return Reference(value)


def of_url(url: str) -> Whereabouts:
    """Where an image behind a URL is; queries (they are for that one file) are left out"""
    split = urlsplit(url)
    folder = split._replace(path=split.path.rpartition("/")[0] + "/", query="", fragment="").geturl()
    return Whereabouts(folder, unquote(split.path, errors="surrogateescape"))


def of_path(path: str) -> Whereabouts:
    """Where an image on the node is"""
    return Whereabouts(os.path.dirname(path).rstrip("/") + "/", path)


def absolute(reference: Reference, near: Whereabouts) -> Reference:
    """The same with a URL or an absolute path"""
    text = reference.text
    if is_url(text) or text.startswith("/"):
        return reference
    remote = is_url(near.folder)
    name = near.file_name if not remote else quote(os.fsencode(near.file_name), safe="+@~")
    return Reference(near.folder + text.replace("%", name))
