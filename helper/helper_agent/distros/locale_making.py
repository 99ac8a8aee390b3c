"""Locales made by the image's own localedef, of sources that the image has (Debian's locales, glibc-locale-source)

The result is a folder below /usr/lib/locale rather than a part of the archive there: glibc takes either, language packs
of Fedora and openSUSE bring folders too, and an archive that nobody touches can't be harmed. Where locale-gen makes the
locale again after an upgrade, it does so in the archive, which comes first. localedef works in a folder that goes
away; what is kept of its files is written by us, once all of them are there.
"""

from __future__ import annotations

import re
import stat

from helper_agent.api import CommandFailed, Context, TaskError
from helper_agent.distros import locales
from helper_agent.records import NamedTuple
from helper_agent.root import Root

LOCALEDEF = "/usr/bin/localedef"
LOCALE = "/usr/bin/locale"
SOURCES = "/usr/share/i18n/locales"
CHARMAPS = "/usr/share/i18n/charmaps"
LISTS = (locales.GEN, "/usr/share/i18n/SUPPORTED")
"""Files of lines `NAME CHARMAP`."""
NAME = re.compile(r"([A-Za-z]{1,8}(?:_[A-Za-z0-9]{1,8})?)(?:\.([A-Za-z0-9-]{1,20}))?(@[A-Za-z0-9]{1,20})?")
"""language_TERRITORY.CODESET@modifier (setlocale(3))."""
WORK = f"{locales.FOLDER}/.instance-helper"
"""Where localedef works."""
MADE = f"{WORK}/new"
PARTS = (
    *("LC_ADDRESS", "LC_COLLATE", "LC_CTYPE", "LC_IDENTIFICATION", "LC_MEASUREMENT", "LC_MESSAGES/SYS_LC_MESSAGES"),
    *("LC_MONETARY", "LC_NAME", "LC_NUMERIC", "LC_PAPER", "LC_TELEPHONE", "LC_TIME"),
)
"""Files that make a locale, in all versions of glibc since 2.2."""
PART_MAX = 16 << 20
"""Bytes; Chinese has 2.8 million for its order of characters."""
SAID_MAX = 300
"""Bytes of localedef's complaints that are shown."""
TIMEOUT = 240.0
"""Seconds; most take one to four, zh_CN.GB18030 thirteen, under emulation 15 times as many."""
LOCALE_TIMEOUT = 60.0
CANNOT = b"Cannot set "
"""What locale(1) says where setlocale() fails, with exit code 0 (locale/programs/locale.c in glibc)."""
REMEDY = "leave out make_locale, or have the locale in the image"


class Recipe(NamedTuple):
    """What localedef makes a locale of"""

    source: str
    """A name in `SOURCES`."""
    charmap: str
    """A name in `CHARMAPS`, without its .gz."""


class Lacking(Exception):
    """The image has not all that it takes; the text, a noun, says what it lacks"""


def recipe(root: Root, name: str) -> Recipe:
    """Of what the locale is made, by the rules that Debian's and Arch's locale-gen have

    Raises:
        Lacking
        TaskError: a list or a folder is a trap
    """
    parts = NAME.fullmatch(name)
    if not root.is_file(LOCALEDEF):
        raise Lacking(LOCALEDEF)
    if parts is None:
        raise Lacking(f"source for a locale of the name {name!r}")
    language, codeset, modifier = parts[1], parts[2] or "", parts[3] or ""
    source = f"{language}{modifier}"
    if not root.is_file(f"{SOURCES}/{source}"):
        raise Lacking(f"{SOURCES}/{source}")
    codeset = codeset or _listed(root, name)
    if not codeset:
        raise Lacking(f"list with the character set of {name} (give it: {language}.UTF-8{modifier})")
    charmap = next((each for each in _charmaps(root) if _plain(each) == _plain(codeset)), "")
    if not charmap:
        raise Lacking(f"character set {codeset} in {CHARMAPS}")
    return Recipe(source, charmap)


def make(context: Context, name: str, given: Recipe) -> str:
    """Make the locale; the folder that it is in then

    A failure may leave a part of it there, for who can take it back (`Task.optional`).

    Raises:
        TaskError: localedef fails, or makes what is no locale
    """
    root = context.root
    place = f"{locales.FOLDER}/{locales.normal(name)}"
    if root.exists(WORK) or root.is_symlink(WORK):
        raise TaskError(f"{WORK}, where the locale would be made, is in the image", "remove it from the image")
    root.mkdir(WORK, mode=0o700)
    try:
        _compile(context, name, given)
        _check(root)
        for part in PARTS:
            root.install(f"{place}/{part}", root.read(f"{MADE}/{part}", limit=PART_MAX))
    finally:
        root.remove_tree(WORK)
    if not _seen(context, name):
        raise TaskError(
            f"The image's programs can't use the locale {name} in {locales.FOLDER}, where its localedef has made it",
            REMEDY,
        )
    return place


def _compile(context: Context, name: str, given: Recipe) -> None:
    # -c, as locale-gen has it: a source with a flaw is no reason to have none (exit code 1)
    argv = [LOCALEDEF, "--no-archive", "-c", "-i", given.source, "-f", given.charmap, MADE]
    try:
        done = context.run_in_image(argv, timeout=TIMEOUT, ok=(0, 1))
    except CommandFailed as error:
        raise TaskError(
            f"The image's localedef could not make the locale {name}: {error}", REMEDY, output=error.output
        ) from None
    if done.returncode:
        said = done.stderr[-SAID_MAX:].decode("utf-8", "replace").strip()
        context.log.warning(f"The image's localedef found flaws in the sources of the locale {name}: {said}")


def _check(root: Root) -> None:
    """That all files are there which make a locale

    Raises:
        TaskError: one is not there, or is none
    """
    for part in PARTS:
        try:
            real = f"{root.real_path(WORK)}{MADE.removeprefix(WORK)}"
            status = root.lstat(f"{MADE}/{part}")
            # through a link, /etc/shadow would become a file that everybody can read
            direct = root.real_path(f"{MADE}/{part}") == f"{real}/{part}" and status.st_nlink == 1
            good = direct and stat.S_ISREG(status.st_mode) and status.st_size > 0
        except FileNotFoundError:
            good = False
        if not good:
            raise TaskError(f"What the image's localedef has made is no locale: {part} is missing or no file", REMEDY)


def _seen(context: Context, name: str) -> bool:
    """Whether the image's programs can use it

    Some have been built to look in another folder (Slackware: lib64), and localedef's exit code doesn't tell of a file
    that it could not write to its end.
    """
    if not context.root.is_file(LOCALE):
        return True
    try:
        done = context.run_in_image([LOCALE, "charmap"], env={"LC_ALL": name}, timeout=LOCALE_TIMEOUT)
    except CommandFailed as error:
        raise TaskError(f"The image's {LOCALE} could not be run: {error}", REMEDY, output=error.output) from None
    return CANNOT not in done.stderr


def _listed(root: Root, name: str) -> str:
    """The charmap that the lists have for a name without one, "" if none has"""
    for path in LISTS:
        if root.is_file(path):
            for line in root.read_text(path).split("\n"):
                words = line.lstrip("# \t").split()
                if len(words) == 2 and words[0] == name:
                    return words[1]
    return ""


def _charmaps(root: Root) -> list[str]:
    return [each.removesuffix(".gz") for each in root.listdir(CHARMAPS)] if root.is_dir(CHARMAPS) else []


def _plain(codeset: str) -> str:
    """UTF-8 and utf8 are one, ISO-8859-1 and iso88591"""
    return re.sub("[^a-z0-9]", "", codeset.lower())
