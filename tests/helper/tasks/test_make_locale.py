from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from helper_agent import attempt, image_programs
from helper_agent.api import Context, Skip, TaskError
from helper_agent.distros import locale_making, locales
from helper_agent.registry import Entry
from helper_agent.run import CommandFailed, Completed
from helper_agent.tasks import locale, make_locale
from helper_kit import traps
from tests.helper.distros import packages
from tests.helper.support import Bench, Tree
from tests.helper.tasks.conftest import STORES, SYSTEMS, Make, System

GERMAN = {"wanted": True, "lang": "de_DE.UTF-8"}
PLACE = "/usr/lib/locale/de_DE.utf8"
ARCHIVE = "/usr/lib/locale/locale-archive"
SUPPORTED = "de_DE.UTF-8 UTF-8\nde_DE ISO-8859-1\nde_DE@euro ISO-8859-15\nca_ES@valencia UTF-8\nka_GE GEORGIAN-PS\n"
PACKAGES = ("libc6", "libgcc-s1", "libc-bin", "locales", "gzip")
Program = Callable[[Sequence[str], dict[str, Any]], Completed]


def sources(tree: Tree) -> None:
    """As Debian's package locales has them"""
    for name in ("de_DE", "de_DE@euro", "ca_ES@valencia", "ka_GE", "zh_CN"):
        tree.put(f"/usr/share/i18n/locales/{name}", "comment_char %\n")
    for name in ("UTF-8", "ISO-8859-1", "ISO-8859-15", "GEORGIAN-PS", "GB18030"):
        tree.put(f"/usr/share/i18n/charmaps/{name}.gz", "")
    tree.put("/usr/share/i18n/SUPPORTED", SUPPORTED)
    tree.put("/usr/bin/localedef", "#!/bin/sh\n", mode=0o755)
    tree.put(ARCHIVE, "an archive")


class Localedef:
    """What localedef does: files in the folder that its last argument names"""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.calls: list[list[str]] = []
        self.then: Callable[[Path], object] = lambda _: None
        self.complaint = b""
        """Of locale, about what it finds."""

    def __call__(self, _: str, argv: Sequence[str], **arguments: Any) -> Completed:
        self.calls.append(list(argv))
        if argv[0] == "/usr/bin/locale":
            assert (argv[1:], arguments["env"]) == (["charmap"], {"LC_ALL": "de_DE.UTF-8"})
            return Completed(0, b"UTF-8\n", self.complaint)
        assert 1 in arguments["ok"]
        folder, _, name = argv[-1].rpartition("/")
        made = self.tree / self.tree.root().real_path(folder) / name
        made.mkdir()
        (made / "LC_MESSAGES").mkdir()
        for part in locale_making.PARTS:
            (made / part).write_text(f"{part} of {argv[-4]}\n")
        self.then(made)
        return Completed(0, b"", b"")


@pytest.fixture
def localedef(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Localedef:
    """In the place of the image's programs"""
    found = Localedef(bench.tree)
    monkeypatch.setattr(image_programs, "run", found)
    return found


def as_the_agent(task: Context) -> None:
    """With all taken back when it fails"""
    entry = Entry(make_locale.TASK, make_locale.run, "Make it", "make_locale.py")
    attempt.attempt(entry, task, task.root, lambda: None, replaceable=False)


def test_made_where_every_program_finds_it(bench: Bench, context: Make, localedef: Localedef) -> None:
    task = context(make_locale.TASK, GERMAN)
    sources(bench.tree)
    bench.tree.put("/etc/locale.gen", "# de_DE.UTF-8 UTF-8\n")
    as_the_agent(task)
    (argv,) = localedef.calls
    assert argv[:6] == ["/usr/bin/localedef", "--no-archive", "-c", "-i", "de_DE", "-f"]
    assert argv[6] == "UTF-8"
    assert bench.tree.text(f"{PLACE}/LC_MESSAGES/SYS_LC_MESSAGES") == "LC_MESSAGES/SYS_LC_MESSAGES of de_DE\n"
    assert {bench.tree.mode(f"{PLACE}/{part}") for part in locale_making.PARTS} == {0o644}
    assert bench.tree.mode(PLACE) == 0o755
    assert not [name for name in bench.tree.names() if ".instance-helper" in name]
    assert bench.tree.text(ARCHIVE) == "an archive"
    assert bench.tree.text("/etc/locale.gen") == "de_DE.UTF-8 UTF-8\n"
    assert locales.has(bench.tree.root(), "de_DE.UTF-8")
    locale.run(context(locale.TASK, {"lang": "de_DE.UTF-8"}))
    assert bench.log.of("warning") == []


def test_only_if_asked(bench: Bench, context: Make, localedef: Localedef) -> None:
    sources(bench.tree)
    with pytest.raises(Skip):
        as_the_agent(context(make_locale.TASK, {"lang": "de_DE.UTF-8"}))
    with pytest.raises(Skip, match="no locale is asked for"):
        as_the_agent(context(make_locale.TASK, {"wanted": True}))
    locale.run(context(locale.TASK, {"lang": "de_DE.UTF-8"}))
    assert localedef.calls == []


@pytest.mark.parametrize("name", (*SYSTEMS, *STORES))
def test_nothing_to_do_or_nothing_to_make_it_of(bench: Bench, system: System, localedef: Localedef, name: str) -> None:
    task = system(name)(make_locale.TASK, GERMAN)
    before = bench.tree.files()
    with pytest.raises(Skip) as caught:
        as_the_agent(task)
    musl = name in ("alpine", "void-musl")
    words = "needs none" if musl else "makes its locales by itself" if name in STORES else "has no /usr/bin/localedef"
    assert words in str(caught.value)
    assert bench.tree.files() == before
    assert localedef.calls == []


def test_one_that_is_there(bench: Bench, context: Make, localedef: Localedef) -> None:
    task = context(make_locale.TASK, GERMAN)
    sources(bench.tree)
    bench.tree.folder(PLACE)
    with pytest.raises(Skip, match="the image has it"):
        as_the_agent(task)
    assert localedef.calls == []


@pytest.mark.parametrize(
    ("name", "source", "charmap", "place"),
    [
        ("de_DE", "de_DE", "ISO-8859-1", "de_DE"),
        ("de_DE@euro", "de_DE@euro", "ISO-8859-15", "de_DE@euro"),
        ("de_DE.UTF-8@euro", "de_DE@euro", "UTF-8", "de_DE.utf8@euro"),
        ("de_DE.utf8", "de_DE", "UTF-8", "de_DE.utf8"),
        ("de_DE.iso88591", "de_DE", "ISO-8859-1", "de_DE.iso88591"),
        ("ca_ES@valencia", "ca_ES@valencia", "UTF-8", "ca_ES@valencia"),
        ("ca_ES.UTF-8@valencia", "ca_ES@valencia", "UTF-8", "ca_ES.utf8@valencia"),
        ("ka_GE", "ka_GE", "GEORGIAN-PS", "ka_GE"),
        ("zh_CN.GB18030", "zh_CN", "GB18030", "zh_CN.gb18030"),
    ],
)
def test_names(
    bench: Bench, context: Make, localedef: Localedef, name: str, source: str, charmap: str, place: str
) -> None:
    sources(bench.tree)
    as_the_agent(context(make_locale.TASK, {"wanted": True, "lang": name}))
    assert localedef.calls[0][4:7] == [source, "-f", charmap]
    assert bench.tree.text(f"/usr/lib/locale/{place}/LC_TIME") == f"LC_TIME of {source}\n"
    assert locales.has(bench.tree.root(), name)


def test_the_images_own_list_comes_first(bench: Bench, context: Make, localedef: Localedef) -> None:
    sources(bench.tree)
    bench.tree.put("/etc/locale.gen", "# zh_CN GB18030\nde_DE UTF-8\n")
    for name, charmap in (("zh_CN", "GB18030"), ("de_DE", "UTF-8")):
        as_the_agent(context(make_locale.TASK, {"wanted": True, "lang": name}))
        assert localedef.calls[-1][6] == charmap


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("fr_FR.UTF-8", "no /usr/share/i18n/locales/fr_FR"),
        ("de_DE.UTF-8@latin", "no /usr/share/i18n/locales/de_DE@latin"),
        ("de_DE.KOI8-R", "no character set KOI8-R"),
        ("zh_CN", "give it: zh_CN.UTF-8"),
        ("../../../etc/passwd", "no source for a locale of the name"),
        ("-f", "no source for a locale of the name"),
        ("de_DE.UTF-8/../x", "no source for a locale of the name"),
    ],
)
def test_what_lacks(bench: Bench, context: Make, localedef: Localedef, name: str, words: str) -> None:
    sources(bench.tree)
    with pytest.raises(Skip, match=words):
        as_the_agent(context(make_locale.TASK, {"wanted": True, "lang": name}))
    assert localedef.calls == []


def _link(made: Path) -> None:
    (made / "LC_TIME").unlink()
    (made / "LC_TIME").symlink_to("/etc/shadow")


def _linked_folder(made: Path) -> None:
    made.rename(made.with_name("elsewhere"))
    made.symlink_to("elsewhere")


def _hard_link(made: Path) -> None:
    (made / "LC_TIME").unlink()
    (made / "LC_TIME").hardlink_to(made.parents[4] / "etc/shadow")


def _huge(made: Path) -> None:
    with (made / "LC_COLLATE").open("wb") as file:
        file.truncate(1 << 30)


@pytest.mark.parametrize(
    ("then", "words"),
    [
        (_link, "is no locale: LC_TIME"),
        (_linked_folder, "is no locale: LC_ADDRESS"),
        (_hard_link, "is no locale: LC_TIME"),
        (_huge, "LC_COLLATE .*more than|LC_COLLATE .*larger"),
        (lambda made: (made / "LC_TIME").unlink(), "is no locale: LC_TIME"),
        (lambda made: (made / "LC_CTYPE").write_bytes(b""), "is no locale: LC_CTYPE"),
        (shutil.rmtree, "is no locale: LC_ADDRESS"),
        (lambda made: shutil.rmtree(made.parent), "is no locale: LC_ADDRESS"),
    ],
)
def test_what_is_no_locale_leaves_nothing(
    bench: Bench, context: Make, localedef: Localedef, then: Callable[[Path], object], words: str
) -> None:
    task = context(make_locale.TASK, GERMAN)
    sources(bench.tree)
    before = bench.tree.files()
    localedef.then = then
    with pytest.raises(TaskError, match=words):
        as_the_agent(task)
    assert bench.tree.files() == before


def test_it_fails(bench: Bench, context: Make, localedef: Localedef, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(tree: str, argv: Sequence[str], **arguments: Any) -> Completed:
        localedef(tree, argv, **arguments)
        raise CommandFailed(argv, "exit code 4", "cannot open `translit_combining'", 4)

    task = context(make_locale.TASK, GERMAN)
    sources(bench.tree)
    monkeypatch.setattr(image_programs, "run", fail)
    before = bench.tree.files()
    with pytest.raises(TaskError, match=r"localedef could not make the locale de_DE\.UTF-8") as caught:
        as_the_agent(task)
    assert caught.value.output == "cannot open `translit_combining'"
    assert "make_locale" in caught.value.remedy
    assert bench.tree.files() == before
    locale.run(context(locale.TASK, {"lang": "de_DE.UTF-8"}))
    (warning,) = bench.log.of("warning")
    assert "unless a warning of make-locale says why not" in warning


def test_programs_that_look_elsewhere(bench: Bench, context: Make, localedef: Localedef) -> None:
    task = context(make_locale.TASK, GERMAN)
    sources(bench.tree)
    bench.tree.put("/usr/bin/locale", "#!/bin/sh\n", mode=0o755)
    before = bench.tree.files()
    localedef.complaint = b"/usr/bin/locale: Cannot set LC_ALL to default locale: No such file or directory\n"
    with pytest.raises(TaskError, match="programs can't use the locale"):
        as_the_agent(task)
    assert bench.tree.files() == before
    localedef.complaint = b""
    as_the_agent(task)
    assert locales.has(bench.tree.root(), "de_DE.UTF-8")


@pytest.mark.parametrize(
    "path",
    [
        "/usr/bin/localedef",
        "/usr/bin/locale",
        "/usr/share/i18n/locales/de_DE",
        "/usr/share/i18n/SUPPORTED",
        "/etc/locale.gen",
        ARCHIVE,
        locale_making.WORK,
        PLACE,
        f"{PLACE}/LC_TIME",
    ],
)
@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_trapped(bench: Bench, context: Make, localedef: Localedef, trap: traps.Trap, path: str) -> None:
    sources(bench.tree)
    name = "de_DE" if path.endswith("SUPPORTED") else "de_DE.UTF-8"
    task = context(make_locale.TASK, {"wanted": True, "lang": name})
    with traps.laid(trap, bench.tree, path):
        try:
            as_the_agent(task)
        except (TaskError, Skip) as error:
            assert not isinstance(error, attempt.NotTakenBack)
    assert all(argv[0] in ("/usr/bin/localedef", "/usr/bin/locale") for argv in localedef.calls)


@pytest.mark.parametrize("folder", ["/usr/lib/locale", "/usr/share/i18n/charmaps", "/usr/share/i18n"])
@pytest.mark.parametrize("trap", traps.FOLDERS, ids=str)
def test_trapped_on_the_way(bench: Bench, context: Make, localedef: Localedef, trap: traps.Trap, folder: str) -> None:
    sources(bench.tree)
    task = context(make_locale.TASK, GERMAN)
    traps.spring(trap, bench.tree, folder, lambda: as_the_agent(task))
    assert len(localedef.calls) <= 1


@pytest.fixture
def trojan(bench: Bench) -> Callable[[str], None]:
    """Puts a script in the place of the image's localedef"""
    shell = Path("/bin/busybox")
    if not shell.exists():
        pytest.skip("busybox-static is not installed")

    def put(script: str) -> None:
        sources(bench.tree)
        for name in ("dev", "proc", "run", "sys", "tmp"):
            bench.tree.folder(f"/{name}")
        bench.tree.put("/bin/busybox", shell.read_bytes(), mode=0o755)
        bench.tree.link("/bin/sh", "busybox")
        bench.tree.put("/usr/bin/localedef", f"#!/bin/sh\nfor made; do :; done\n{script}\n", mode=0o755)

    return put


@pytest.mark.root
@pytest.mark.parametrize(
    "script",
    [
        "while :; do :; done",
        "(busybox setsid busybox sleep 5815 &) ; trap '' TERM; busybox sleep 5815",
        "exit 4",
        "kill -9 $$",
        "mkdir -p $made; ln -s ../../../../../../../../etc/shadow $made/LC_TIME",
        "rm -rf ${made%/*}; ln -s /etc ${made%/*}",
        "rm -rf ${made%/*}; mkdir -p ${made%/*}/new/LC_MESSAGES; mkfifo $made/LC_ADDRESS $made/LC_COLLATE",
        "while mkdir d && cd d; do n=$((n+1)); [ $n -lt 150 ] || exit 0; done",
    ],
)
def test_a_trojan_gets_nothing_made(
    bench: Bench, context: Make, trojan: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    task = context(make_locale.TASK, GERMAN)
    trojan(f"cd ${{made%/*}}\n{script}")
    monkeypatch.setattr(locale_making, "TIMEOUT", 2.0)
    before = bench.tree.files()
    with pytest.raises(TaskError):
        as_the_agent(task)
    assert bench.tree.files() == before
    assert not [path for path in Path("/proc").glob("[0-9]*/cmdline") if b"\x005815\x00" in _content(path)]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    """Debian's own glibc with its localedef, and the sources"""
    tree = Tree(tmp_path_factory.mktemp("debian"))
    packages.unpack(tree, PACKAGES)
    for name in ("dev", "proc", "run", "sys", "tmp"):
        tree.folder(f"/{name}")
    yield tree
    tree.close()


@pytest.mark.root
@pytest.mark.parametrize(
    ("name", "listed", "month", "charmap"),
    [
        ("de_DE.UTF-8", "de_DE.utf8", "März", "UTF-8"),
        ("de_DE@euro", "de_DE@euro", "M\xe4rz", "ISO-8859-15"),
        ("ca_ES.UTF-8@valencia", "ca_ES.utf8@valencia", "de març", "UTF-8"),
    ],
)
def test_debians_own_localedef(
    bench: Bench, context: Make, debian: Tree, name: str, listed: str, month: str, charmap: str
) -> None:
    shutil.copytree(debian.path, bench.tree.path, symlinks=True, dirs_exist_ok=True)
    task = context(make_locale.TASK, {"wanted": True, "lang": name})
    as_the_agent(task)
    assert locales.has(bench.tree.root(), name)
    path = str(bench.tree.path)
    assert listed in image_programs.run(path, ["locale", "-a"]).text.split()
    found = image_programs.run(path, ["locale", "mon", "charmap"], env={"LC_ALL": name}).stdout
    encoding = "utf-8" if charmap == "UTF-8" else charmap.lower()
    assert found.decode(encoding).split(";")[2] == month
    assert found.decode(encoding).split("\n")[1] == charmap


@pytest.mark.root
def test_a_part_that_could_not_be_written_to_its_end(bench: Bench, context: Make, debian: Tree) -> None:
    """localedef has exit code 0 on a full disk"""
    shutil.copytree(debian.path, bench.tree.path, symlinks=True, dirs_exist_ok=True)
    bench.tree.put("/busybox", Path("/bin/busybox").read_bytes(), mode=0o755)
    (bench.tree / "/usr/bin/localedef").rename(bench.tree / "/usr/bin/real")
    script = '#!/busybox sh\nfor made; do :; done\n/usr/bin/real "$@" && /busybox truncate -s 9999 $made/LC_COLLATE\n'
    bench.tree.put("/usr/bin/localedef", script, mode=0o755)
    task = context(make_locale.TASK, GERMAN)
    before = bench.tree.names()
    with pytest.raises(TaskError, match=r"can't use the locale de_DE\.UTF-8"):
        as_the_agent(task)
    assert bench.tree.names() == before


def test_flaws_are_told(bench: Bench, context: Make, monkeypatch: pytest.MonkeyPatch, localedef: Localedef) -> None:
    def flawed(tree: str, argv: Sequence[str], **arguments: Any) -> Completed:
        done = localedef(tree, argv, **arguments)
        return Completed(1, b"", b"unknown character in field `mon'\n") if "localedef" in argv[0] else done

    monkeypatch.setattr(image_programs, "run", flawed)
    sources(bench.tree)
    as_the_agent(context(make_locale.TASK, GERMAN))
    assert "found flaws in the sources of the locale de_DE.UTF-8: unknown char" in "".join(bench.log.of("warning"))


def test_what_is_in_the_way_is_an_error(bench: Bench, context: Make, localedef: Localedef) -> None:
    sources(bench.tree)
    bench.tree.put(f"{locale_making.WORK}/old", "x")
    with pytest.raises(TaskError, match=r"\.instance-helper, where the locale would be made, is in the image"):
        as_the_agent(context(make_locale.TASK, GERMAN))
    assert localedef.calls == []


@pytest.mark.root
def test_it_is_what_localedef_makes_of_itself(bench: Bench, context: Make, debian: Tree, tmp_path: Path) -> None:
    shutil.copytree(debian.path, bench.tree.path, symlinks=True, dirs_exist_ok=True)
    as_the_agent(context(make_locale.TASK, GERMAN))
    argv = ["chroot", str(bench.tree.path), "localedef", "-i", "de_DE", "-f", "UTF-8", "/tmp/theirs"]
    subprocess.run(argv, check=True, capture_output=True)
    for part in locale_making.PARTS:
        assert (bench.tree / f"{PLACE}/{part}").read_bytes() == (bench.tree / f"/tmp/theirs/{part}").read_bytes()
