"""References of further schemes, such as s3:// or ftp://: programs fetch them that the settings name (image_programs)

What such a program has to do is in docs/image-programs.md. It is an administrator's and runs as root, but it talks to
servers: so it has a clean environment, a time limit for silence, and ends when we do.
"""

from __future__ import annotations

import os
import re
import stat
from urllib.parse import unquote, urlsplit

from helper_host import http, trusted
from helper_host.errors import ProviderError
from helper_host.image.content import Content
from helper_host.image.integrity.base import Integrity
from helper_host.image.sources import listed
from helper_host.image.sources.base import Places, Source, bad
from helper_host.log import printable

SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)


def check(reference: str) -> None:
    """The syntax that all of them have; whether there is a program, the settings say"""
    match = SCHEME.fullmatch(reference)
    if match is None:
        raise bad(reference, "is not a URL")
    if len(reference) > http.URL_MAX:
        raise bad(reference, f"is longer than {http.URL_MAX} characters")
    if not reference.isascii() or not reference.isprintable() or " " in reference:
        raise bad(reference, "has characters that must be percent-encoded")
    rest = argument(reference).partition("://")[2]
    if not rest or rest.startswith("-"):
        raise bad(reference, "has nothing, or a dash, behind its ://")


def open_reference(reference: str, places: Places, _integrity: Integrity) -> Content:
    """What the program prints, which has begun

    Raises:
        ProviderError: E-PARAMETER no program for it, E-IMAGE-MISSING not on the list, E-SETTINGS the program can't be
            used, E-IMAGE-FETCH
    """
    check(reference)
    scheme = reference.partition("://")[0].lower()
    path = places.programs.get(scheme)
    if path is None:
        raise _unknown(scheme, reference, places)
    listed.check(reference, places)
    check_program(path)
    from helper_host.image.sources.program_run import ProgramContent

    content = ProgramContent(path, reference, argument(reference), file_name(reference), places)
    try:
        # what it says of the size comes before the first byte, and most of what can go wrong goes wrong before it
        content.peek(1)
    except BaseException:
        content.close()
        raise
    return content


def argument(reference: str) -> str:
    """The reference as every user of the node may see it: without user, password, query and fragment"""
    scheme, _, rest = reference.partition("://")
    place, slash, path = re.split(r"[?#]", rest, maxsplit=1)[0].partition("/")
    return f"{scheme}://{place.rpartition('@')[2]}{slash}{path}"


def file_name(reference: str) -> str:
    """The last part of its path"""
    return printable(unquote(urlsplit(reference).path).rpartition("/")[2])


def _unknown(scheme: str, reference: str, places: Places) -> ProviderError:
    known = ", ".join(f"{name}://" for name in ("https", "http", "file", "local", *places.programs))
    import difflib

    close = difflib.get_close_matches(scheme, ("https", "http", "file", "local", *places.programs), 1)
    remedy = f"did you mean {close[0]}://? Known are {known}" if close else f"known are {known}"
    if scheme in ("ftp", "ftps", "sftp"):
        remedy = (
            f"give an https URL, or name a program that fetches it: image_programs, docs/image-programs.md; {remedy}"
        )
    else:
        remedy = f"{remedy}; image_programs in the settings may name a program for further ones"
    return ProviderError(
        "E-PARAMETER", f"image={http.shown(reference)} is of a kind that this node can't fetch ({scheme}://)", remedy
    )


def check_program(path: str) -> None:
    """Whether it may be run as root, and can be

    Raises:
        ProviderError: E-SETTINGS
    """
    try:
        trusted.check_way(path)
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        raise _unusable(path, "does not exist", "install it, or correct image_programs") from None
    except trusted.Untrusted as error:
        raise _unusable(path, error.why, error.remedy) from None
    except OSError as error:
        raise _unusable(path, f"can't be used ({error.strerror})", "look at its mode") from None
    if not stat.S_ISREG(mode) or not mode & 0o111:
        raise _unusable(path, "is not a program", f"chmod 755 {path}")


def _unusable(path: str, why: str, remedy: str) -> ProviderError:
    return ProviderError("E-SETTINGS", f"Programs that fetch images run as root, and {path} {why}", remedy)


SOURCE = Source(
    name="program",
    matches=lambda reference: SCHEME.fullmatch(reference) is not None,
    check=check,
    open=open_reference,
    help="a URL of a scheme that image_programs in the settings has a program for",
)
