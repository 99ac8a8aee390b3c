"""gpgv in its jail: it gets what it needs, sees nothing else, and nothing of it stays behind"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from helper_host.errors import ProviderError
from helper_host.image.integrity import gpgv, verdict
from helper_host.image.integrity.gpgv import Gpgv
from helper_host.image.integrity.verdict import Refusal
from tests.host.signing import PUBLISHER, STRANGER, Keys

pytestmark = pytest.mark.programs

MIB = 1 << 20


@contextmanager
def running(
    keys: Keys, content: bytes = b"content", *, signature: bytes | None = None, cancel: threading.Event | None = None
) -> Iterator[Gpgv]:
    signature = keys.sign(content) if signature is None else signature
    process = Gpgv([keys.export(PUBLISHER)], cancel or threading.Event(), signature=signature)
    try:
        yield process
    finally:
        process.close()
        process.close()


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    before, children = set(os.listdir("/proc/self/fd")), _children()
    yield
    assert set(os.listdir("/proc/self/fd")) == before
    assert _children() <= children, "dead ones that nobody waited for among them"


def _children() -> set[str]:
    """Of this process; another file's test may have left one to be collected (proc_pid_children(5))"""
    return {pid for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()}


@pytest.fixture(autouse=True)
def _keys_first(keys: Keys) -> None:
    """Made before descriptors are counted"""


@pytest.mark.parametrize("armor", [[], ["--armor"]])
def test_in_pieces(keys: Keys, armor: list[str]) -> None:
    content = os.urandom(3 * MIB + 1)
    with running(keys, signature=keys.sign(content, PUBLISHER, *armor)) as process:
        for start in range(0, len(content), 700_001):
            process.feed(memoryview(content)[start : start + 700_001])
        status, code, output = process.end()
    assert verdict.judge(status, code).fingerprint == keys.fingerprints[PUBLISHER]
    assert output == b""


def test_a_message(keys: Keys) -> None:
    signed = keys.clear_sign(b"- first\nsecond  \n")
    process = Gpgv([keys.export(PUBLISHER)], threading.Event(), signature=None, output_max=1000)
    try:
        process.feed(signed)
        status, code, output = process.end()
    finally:
        process.close()
    assert output == b"- first\nsecond\n"
    assert verdict.judge(status, code, plaintexts=1, text_mode=True)


def test_several_keyrings_and_formats(keys: Keys, tmp_path: Path) -> None:
    box = tmp_path / "box"
    keys.gpg(
        "--trust-model", "always", "--no-default-keyring", "--keyring", str(box), "--import",
        stdin=keys.export(PUBLISHER),
    )  # fmt: skip
    rings = [keys.export(STRANGER), box.read_bytes()]
    for name in (PUBLISHER, STRANGER):
        process = Gpgv(rings, threading.Event(), signature=keys.sign(b"x", name))
        try:
            process.feed(b"x")
            status, code, _ = process.end()
        finally:
            process.close()
        assert verdict.judge(status, code).fingerprint == keys.fingerprints[name]


@pytest.mark.root
def test_it_is_nobody_and_sees_nothing(keys: Keys) -> None:
    with running(keys) as process:
        process.feed(b"con")
        status = Path(f"/proc/{process.pid}/status").read_text()
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert int(fields["Uid"].split()[0]) > 2_000_000_000
        assert int(fields["CapEff"], 16) == int(fields["CapBnd"], 16) == 0
        assert fields["NoNewPrivs"] == "1" and fields["Seccomp"] == "2"
        root = Path(f"/proc/{process.pid}/root")
        assert sorted(os.listdir(root)) == ["dev", "keys", "lib", "lib64", "usr"]
        assert sorted(os.listdir(root / "keys")) == ["0.gpg", "1.gpg"]
        assert os.listdir(root / "usr" / "bin") == ["gpgv"]
        assert len(Path(f"/proc/{process.pid}/net/dev").read_text().splitlines()) == 3, "no interface but lo"
        environment = Path(f"/proc/{process.pid}/environ").read_bytes()
        assert b"HOME" not in environment
        held = {os.readlink(f"/proc/{process.pid}/fd/{name}") for name in os.listdir(f"/proc/{process.pid}/fd")}
        assert all(name.startswith(("pipe:", "/keys/", "/dev/null")) for name in held), held


def test_killed(keys: Keys) -> None:
    with running(keys) as process:
        process.feed(b"con")
        os.kill(process.pid, signal.SIGKILL)
        time.sleep(0.1)
        with pytest.raises(Refusal, match="could not be checked: gpgv ended too early, it was ended by SIGKILL"):
            for _ in range(100):
                process.feed(bytes(MIB))


def test_killed_after_the_last_byte(keys: Keys) -> None:
    with running(keys) as process:
        process.feed(b"content")
        os.kill(process.pid, signal.SIGKILL)
        status, code, _ = process.end()
        with pytest.raises(Refusal):
            verdict.judge(status, code)


@pytest.mark.parametrize("fed", [10 * MIB, 1])
def test_silent(keys: Keys, monkeypatch: pytest.MonkeyPatch, fed: int) -> None:
    monkeypatch.setattr(gpgv, "SILENCE_SECONDS", 0.5)
    with running(keys) as process:
        os.kill(process.pid, signal.SIGSTOP)
        since = time.monotonic()
        with pytest.raises(Refusal, match=r"gpgv did nothing for 0\.5 s"):
            process.feed(bytes(fed))
            process.end()
        assert time.monotonic() - since < 2


@pytest.mark.timed
@pytest.mark.parametrize("fed", [10 * MIB, 1])
def test_cancelled(keys: Keys, fed: int) -> None:
    cancel = threading.Event()
    with running(keys, cancel=cancel) as process:
        os.kill(process.pid, signal.SIGSTOP)
        threading.Timer(0.2, cancel.set).start()
        since = time.monotonic()
        with pytest.raises(ProviderError, match="E-INTERRUPTED"):
            process.feed(bytes(fed))
            process.end()
        assert time.monotonic() - since < 1


def test_what_is_no_signature_ends_it_early(keys: Keys) -> None:
    for nonsense in (b"nonsense", b"", os.urandom(5000)):
        with running(keys, signature=nonsense) as process, pytest.raises(Refusal, match="has no OpenPGP signature"):
            for _ in range(100):
                process.feed(bytes(MIB))
            pytest.fail("it read all of that without a signature")


def test_a_signed_message_is_no_detached_signature(keys: Keys) -> None:
    """Else the attacker's own file would be held against whatever was once signed"""
    inline = keys.gpg("--local-user", PUBLISHER, "--output", "-", "--sign", stdin=b"content")
    for wrong in (inline, keys.clear_sign(b"content")):
        for content in (b"content", b""):
            with running(keys, signature=wrong) as process, pytest.raises(Refusal):
                process.feed(content)
                status, code, _ = process.end()
                verdict.judge(status, code)


def test_thousands_of_signatures(keys: Keys) -> None:
    many = keys.sign(b"content", STRANGER) * 500
    with running(keys, signature=many) as process, pytest.raises(Refusal, match="too much to say"):
        process.feed(b"content")
        process.end()


def test_not_installed(keys: Keys, tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match=r"E-NODE: .* apt-get install gpgv"):
        Gpgv([keys.export(PUBLISHER)], threading.Event(), signature=b"x", program=str(tmp_path / "gpgv"))


def test_another_program_says_nothing(keys: Keys) -> None:
    """Whatever ends well without a word isn't taken for a yes"""
    process = Gpgv([keys.export(PUBLISHER)], threading.Event(), signature=b"x", program="/usr/bin/true")
    try:
        with pytest.raises(Refusal):
            process.feed(b"x")
            status, code, _ = process.end()
            verdict.judge(status, code)
    finally:
        process.close()
