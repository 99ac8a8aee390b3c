"""Programs that fetch images: real ones, which do their work, fail, lie, fall silent, and outlive nobody"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from helper_host.errors import ProviderError
from helper_host.http import Rules
from helper_host.image.cache.spec import CacheSpec
from helper_host.image.content import Content
from helper_host.image.integrity.base import NOTHING
from helper_host.image.sources import Places, check, open_reference, program

pytestmark = pytest.mark.programs

SECRET = "canary-77aa"
REFERENCE = f"s3://me:{SECRET}@bucket/path/debian%2012.raw?sig={SECRET}"
BODY = bytes(range(256)) * 8000

Maker = Callable[..., Places]


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def made(tmp_path: Path, said: list[str]) -> Maker:
    """Places with a program for s3:// that is a script of these lines"""
    (tmp_path / "body").write_bytes(BODY)

    def make(*lines: str, silence: float = 5.0, head: str = "#!/bin/sh") -> Places:
        path = tmp_path / "fetch-s3"
        path.write_text("\n".join((head, f"body={tmp_path}/body", *lines, "")))
        path.chmod(0o755)
        return Places(
            str(tmp_path),
            (),
            programs={"s3": str(path)},
            rules=Rules(silence_seconds=silence),
            cache=CacheSpec(str(tmp_path / "cache")),
            say=said.append,
        )

    return make


def opened(places: Places, reference: str = REFERENCE) -> Content:
    content = open_reference(reference, places, NOTHING)
    assert content is not None
    return content


def fetched(places: Places, reference: str = REFERENCE) -> bytes:
    with opened(places, reference) as content:
        return b"".join(map(bytes, content.pieces(threading.Event())))


def refused(places: Places, reference: str = REFERENCE) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        fetched(places, reference)
    assert SECRET not in f"{caught.value} {caught.value.__cause__!r}"
    return caught.value


def test_its_output_is_the_file(made: Maker) -> None:
    places = made("wc -c <$body >&$IMAGE_SIZE_FD", "cat $body")
    with opened(places) as content:
        assert content.size == len(BODY)
        assert (content.name, content.file_name, content.path) == (
            "s3://bucket/path/debian%2012.raw?...",
            "debian 12.raw",
            "",
        )
        assert not content.at_hand
        assert content.peek(1000) == BODY[:1000]
        pieces = [bytes(piece) for piece in content.pieces(threading.Event())]
    assert b"".join(pieces) == BODY
    assert all(0 < len(piece) <= 1 << 20 for piece in pieces)


def test_as_a_file(made: Maker) -> None:
    with opened(made("cat $body")) as content:
        assert content.size is None
        descriptor = content.whole(lambda _done, _total: None, threading.Event())
        assert os.pread(descriptor, len(BODY) + 1, 0) == BODY
        assert content.size == len(BODY)
        assert content.whole(lambda _done, _total: None, threading.Event()) == descriptor


def test_what_it_gets(made: Maker, tmp_path: Path) -> None:
    """The argument, which everybody sees, has no secret; the line on stdin has all; the environment has nothing else"""
    os.environ["CANARY"] = SECRET
    try:
        places = made(
            f"cat >{tmp_path}/stdin", f'printf "%s|" "$#" "$1" >{tmp_path}/arguments', f"env >{tmp_path}/env", "pwd"
        )
        assert fetched(places) == b"/\n"
    finally:
        del os.environ["CANARY"]
    assert (tmp_path / "stdin").read_text() == f"{REFERENCE}\n"
    assert (tmp_path / "arguments").read_text() == "1|s3://bucket/path/debian%2012.raw|"
    names = {line.partition("=")[0] for line in (tmp_path / "env").read_text().splitlines()}
    assert names - {"_", "PWD", "OLDPWD", "SHLVL"} == {"PATH", "HOME", "LANG", "IMAGE_SIZE_FD"}


def test_it_has_no_descriptors_of_ours(made: Maker, tmp_path: Path) -> None:
    with (tmp_path / "secret").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        # stdin, stdout, stderr, the size's, and the listing's own
        assert fetched(made("ls /proc/self/fd")).split() == [b"0", b"1", b"2", b"3", b"4"]


def test_what_it_says_goes_to_the_log(made: Maker, said: list[str]) -> None:
    places = made('echo "looking at $(cat)" >&2', "printf '\\033]0;x\\007\\n' >&2", "seq 1000 >&2", "cat $body")
    assert fetched(places) == BODY
    assert said[0] == "fetch-s3: looking at s3://...@bucket/path/debian%2012.raw?..."
    assert "\x1b" not in "".join(said)
    assert len(said) == 201
    assert "not shown" in said[-1]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["cat $body", "exit 3"], "failed (exit code 3)"),
        (["echo no such bucket >&2", "exit 1"], "failed (exit code 1: no such bucket)"),
        (["cat $body", "kill -SEGV $$"], "killed by signal 11"),
        (["echo 5 >&$IMAGE_SIZE_FD", "cat $body"], "printed more bytes than the 5"),
        (["echo 5000000 >&$IMAGE_SIZE_FD", "cat $body"], "has announced 5000000"),
        (["cat $body", "echo 5 >&$IMAGE_SIZE_FD"], "has announced"),
        (["echo five >&$IMAGE_SIZE_FD", "cat $body"], "size that is none"),
        (["echo -5 >&$IMAGE_SIZE_FD", "cat $body"], "size that is none"),
        (["head -c 100000 /dev/zero >&$IMAGE_SIZE_FD", "cat $body"], "size that is none"),
    ],
)
def test_what_it_does_wrong(made: Maker, lines: list[str], words: str) -> None:
    error = refused(made(*lines))
    assert error.code == "E-IMAGE-FETCH"
    assert words in error.cause


@pytest.mark.parametrize(
    "lines", [["sleep 60"], ["head -c 70000 $body", "sleep 60"], ["cat $body", "exec >&-", "sleep 60"]]
)
def test_it_falls_silent(made: Maker, lines: list[str]) -> None:
    since = time.monotonic()
    error = refused(made(*lines, silence=0.5))
    assert error.code == "E-IMAGE-FETCH"
    assert "0.5 s" in error.cause
    assert time.monotonic() - since < 4
    _nobody_sleeps(60)


def test_words_are_no_bytes(made: Maker) -> None:
    error = refused(made("while :; do echo still at it >&2; sleep 0.05; done", silence=0.5))
    assert "printed nothing for 0.5 s" in error.cause


def test_whatever_it_has_started_ends_with_it(made: Maker) -> None:
    assert fetched(made("sleep 61 >/dev/null 2>&1 &", "cat $body")) == BODY
    _nobody_sleeps(61)


def test_closed_half_way(made: Maker) -> None:
    places = made("sleep 62 & cat $body; sleep 62")
    with opened(places) as content:
        next(iter(content.pieces(threading.Event())))
    _nobody_sleeps(62)


def test_closed_while_a_fork_has_our_descriptors(made: Maker) -> None:
    """The guard is one"""
    content = opened(made("echo x; sleep 65 & sleep 65"))
    fork = os.fork()
    if fork == 0:
        time.sleep(20)
        os._exit(0)
    try:
        since = time.monotonic()
        content.close()
        assert time.monotonic() - since < 2
        _nobody_sleeps(65)
    finally:
        os.kill(fork, signal.SIGKILL)
        os.waitpid(fork, 0)


@pytest.mark.timed
def test_cancelled(made: Maker) -> None:
    cancel = threading.Event()
    with opened(made("echo x; sleep 63", silence=60.0)) as content:
        threading.Timer(0.3, cancel.set).start()
        since = time.monotonic()
        with pytest.raises(ProviderError, match="E-INTERRUPTED"):
            list(content.pieces(cancel))
        assert time.monotonic() - since < 1.3
    _nobody_sleeps(63)


def test_it_does_not_outlive_a_create_that_is_killed(made: Maker, tmp_path: Path) -> None:
    places = made("sleep 64 & echo x; sleep 64")
    code = [
        f"import sys; sys.path[:0] = {[str(Path(__file__).parents[4] / part) for part in ('host', 'helper')]!r}",
        "from helper_host.image.sources import Places, open_reference",
        f"content = open_reference('s3://b/k', Places('/', (), programs={dict(places.programs)!r}))",
        "print('open', flush=True); sys.stdin.read()",
    ]
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", "\n".join(code)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None and process.stdin is not None
    assert process.stdout.readline() == b"open\n"
    deadline = time.monotonic() + 3
    while len(_sleepers(64)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(_sleepers(64)) == 2
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()
    _nobody_sleeps(64)


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o644])
def test_a_program_that_may_not_be_run(made: Maker, mode: int) -> None:
    places = made("cat $body")
    path = Path(places.programs["s3"])
    if mode == 0o775 and os.geteuid() == 0:
        os.chown(path, 0, 1000)
    elif mode == 0o775:
        mode = 0o777
    path.chmod(mode)
    error = refused(places)
    assert error.code == "E-SETTINGS"
    assert str(path) in str(error)


@pytest.mark.root
def test_a_program_of_another_users(made: Maker) -> None:
    places = made("cat $body")
    os.chown(places.programs["s3"], 1000, 1000)
    assert "does not belong to root" in refused(places).cause


def test_a_program_that_is_not_there(made: Maker) -> None:
    places = made("x")
    Path(places.programs["s3"]).unlink()
    error = refused(places)
    assert (error.code, "does not exist" in error.cause) == ("E-SETTINGS", True)


def test_a_program_that_nothing_can_run(made: Maker) -> None:
    error = refused(made("x", head="#!/nowhere/interpreter"))
    assert (error.code, "exit code 127" in error.cause) == ("E-IMAGE-FETCH", True)


@pytest.mark.parametrize(
    "reference",
    ["s3://", "s3:// x", "s3://-rf", "s3://me@-rf", "s3://ä", "s3://a\nb", "s3://" + "a" * 2000, "s3://a\0"],
)
def test_references_that_no_program_gets(made: Maker, reference: str) -> None:
    with pytest.raises(ProviderError, match="E-PARAMETER"):
        check(reference)
    assert refused(made("echo ran"), reference).code == "E-PARAMETER"


@pytest.mark.parametrize(
    ("reference", "remedy"),
    [
        ("ftp://example.org/x", "name a program that fetches it: image_programs, docs/image-programs.md"),
        ("htps://example.org/x", "did you mean https://?"),
        ("swift://container/x", "known are https://, http://, file://, local://, s3://"),
    ],
)
def test_schemes_that_nobody_knows(made: Maker, reference: str, remedy: str) -> None:
    check(reference)  # the settings are another node's business
    error = refused(made("echo ran"), reference)
    assert error.code == "E-PARAMETER"
    assert remedy in error.remedy


@pytest.mark.parametrize(
    ("reference", "code"),
    [
        ("s3://bucket/path/x", ""),
        (f"s3://me:{SECRET}@bucket/path/x?{SECRET}", ""),
        ("s3://Bucket/path/x", "E-IMAGE-MISSING"),
        ("s3://bucket/other", "E-IMAGE-MISSING"),
        ("s3://bucket@evil/path/x", "E-IMAGE-MISSING"),
        ("s3://bucket/path/../other", "E-IMAGE-MISSING"),
        ("s3://bucket/path/%2e%2e/other", "E-IMAGE-MISSING"),
        ("s3://evil/s3://bucket/path/", "E-IMAGE-MISSING"),
    ],
)
def test_the_list_of_urls_is_for_programs_too(made: Maker, reference: str, code: str) -> None:
    places = made("echo ran")._replace(urls=("https://example.org/", "s3://bucket/path/"))
    if code:
        assert refused(places, reference).code == code
    else:
        assert fetched(places, reference) == b"ran\n"


def test_a_shell_never_sees_it(made: Maker, tmp_path: Path) -> None:
    places = made('printf "%s" "$1"')
    reference = f"s3://$(touch${{IFS}}{tmp_path}/ran)/`id`;'\"&&true|x"
    assert fetched(places, reference).decode() == reference
    assert not (tmp_path / "ran").exists()


def test_the_scheme_in_capitals(made: Maker) -> None:
    assert fetched(made("cat $body"), "S3://bucket/x") == BODY


def test_much_at_once(made: Maker) -> None:
    """More than any pipe holds, to a taker that is slow"""
    digest = hashlib.sha256()
    with opened(made("head -c 50000000 /dev/zero | tr '\\0' x", silence=0.5)) as content:
        for number, piece in enumerate(content.pieces(threading.Event())):
            digest.update(piece)
            if number == 3:
                time.sleep(1.2)
    assert digest.hexdigest() == hashlib.sha256(b"x" * 50_000_000).hexdigest()


def test_arguments() -> None:
    assert program.argument("s3://b/k") == "s3://b/k"
    assert program.argument("s3://u:p@b/k/l?q#f") == "s3://b/k/l"
    assert program.argument("s3://u:p@b?q/x@y") == "s3://b"
    assert program.argument("s3://u:p@b#f/x@y") == "s3://b"


def _sleepers(seconds: int) -> list[int]:
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if command[:2] == [b"sleep", str(seconds).encode()]:
            found.append(int(name))
    return found


def _nobody_sleeps(seconds: int) -> None:
    """None of the sleeping programs is left"""
    deadline = time.monotonic() + 3
    while left := _sleepers(seconds):
        if time.monotonic() > deadline:
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            pytest.fail("a process is left")
        time.sleep(0.05)


@pytest.fixture(autouse=True)
def _no_leaks() -> Iterator[Any]:
    before = len(os.listdir("/proc/self/fd"))
    yield
    assert len(os.listdir("/proc/self/fd")) <= before, "a descriptor was leaked"
