"""Lists of checksums: each tool's format, names, and what is refused"""

from __future__ import annotations

import hashlib
import subprocess
import time
from pathlib import Path

import pytest

from helper_host.errors import ProviderError
from helper_host.image.integrity import sums
from helper_host.image.integrity.checksum import Checksum
from helper_host.image.integrity.sums import Line

A, B = "a" * 64, "b" * 64
LONG = "c" * 128


def found(text: str, image: str = "/pub/image.raw") -> Checksum:
    return sums.find(sums.parse(text.encode()), image, "SHA256SUMS")


@pytest.mark.parametrize(
    "line",
    [
        f"{A}  image.raw",
        f"{A} *image.raw",
        f"{A.upper()}  image.raw",
        f"{A}  ./image.raw",
        f"{A}  pub/image.raw",
        f"{A}  /pub/image.raw",
        f"{A}  image.raw\r",
        f"{A} image.raw",
        f"SHA256 (image.raw) = {A}",
        f"SHA256 (./image.raw) = {A}",
        f"SHA256(image.raw)= {A}",
        f"SHA2-256(image.raw)= {A}",
        f"# comment\n\nnonsense\n{A}  image.raw\n{B}  image.raw.sig\n",
    ],
)
def test_formats(line: str) -> None:
    assert found(line) == Checksum("sha256", A, "SHA256SUMS")


@pytest.mark.parametrize("line", [f"{LONG}  image.raw", f"SHA512 (image.raw) = {LONG}"])
def test_sha512(line: str) -> None:
    assert found(line) == Checksum("sha512", LONG, "SHA256SUMS")


def test_of_both_the_one_that_the_cache_knows() -> None:
    assert found(f"SHA512 (image.raw) = {LONG}\nSHA256 (image.raw) = {A}").algorithm == "sha256"


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"\\" + A.encode() + rb"  with\\backslash", "with\\backslash"),
        (b"\\" + A.encode() + rb"  two\nlines", "two\nlines"),
        (rb"\SHA256 (a\rb) = " + A.encode(), "a\rb"),
        (A.encode() + rb"  not\nescaped", r"not\nescaped"),
        (A.encode() + b"  caf\xc3\xa9", "café"),
        (A.encode() + b"  \xff\xfe", "\udcff\udcfe"),
        (b"SHA256 (a (1) = b) = " + A.encode(), "a (1) = b"),
    ],
)
def test_names(raw: bytes, name: str) -> None:
    assert sums.parse(raw) == [Line("sha256", A, name)]


def test_the_folder_in_a_name_counts() -> None:
    text = f"{A}  ./amd64/disk.img\n{B}  ./arm64/disk.img\n"
    assert found(text, "/images/arm64/disk.img").digest == B
    assert found(text, "/images/amd64/disk.img").digest == A
    with pytest.raises(ProviderError, match=r"no checksum for disk\.img, only for amd64/disk\.img, arm64/disk"):
        found(text, "/images/riscv64/disk.img")


def test_a_part_of_a_name_is_none() -> None:
    with pytest.raises(ProviderError, match=r"no checksum for image\.raw, only for my-image\.raw"):
        found(f"{A}  my-image.raw")


def test_different_lines() -> None:
    assert found(f"{A}  image.raw\n{A} *image.raw").digest == A
    with pytest.raises(ProviderError, match=r"2 different sha256 checksums for image\.raw"):
        found(f"{A}  image.raw\n{B}  pub/image.raw")


@pytest.mark.parametrize(
    "content", [b"", b"\0\1\2" * 100, b"<html>404</html>", f"{A}\n".encode(), b"a" * 63 + b"  image.raw"]
)
def test_no_list(content: bytes) -> None:
    lines = sums.parse(content)
    assert all(not line.algorithm for line in lines)
    with pytest.raises(ProviderError, match="E-IMAGE-CHECKSUM"):
        sums.find(lines, "/image.raw", "SHA256SUMS")


@pytest.mark.parametrize("line", [f"{'d' * 32}  image.raw", f"MD5 (image.raw) = {'d' * 32}", f"{'d' * 40}  image.raw"])
def test_weak_sums(line: str) -> None:
    with pytest.raises(ProviderError, match="neither its sha256 nor its sha512"):
        found(line)


def test_names_in_the_error_are_few_and_printable() -> None:
    text = "".join(f"{A}  na\x1bme{number}\n" for number in range(20))
    with pytest.raises(ProviderError) as caught:
        found(text)
    assert "\x1b" not in str(caught.value)
    assert "and 15 others" in str(caught.value)


def test_lines_that_take_long() -> None:
    text = f"SHA256 ({'(' * 100_000}\n" + f"{A[:40]}{' ' * 100_000}\n" + f"{A}  image.raw"
    assert found(text).digest == A


def test_a_name_with_as_many_dots_as_a_list_may_have() -> None:
    began = time.process_time()
    assert found(f"{A}  {'./' * (sums.LIMIT // 2 - 100)}/image.raw").digest == A
    assert time.process_time() - began < 2  # 8 s, when each was cut off by itself


@pytest.mark.programs
@pytest.mark.parametrize("command", [["sha256sum"], ["sha256sum", "--tag"], ["sha512sum", "-b"], ["openssl", "sha256"]])
def test_what_programs_print(tmp_path: Path, command: list[str]) -> None:
    names = ["image.raw", "with blank", "star*", "new\nline", "back\\slash"]
    if command[0] == "openssl":
        names = names[:3]
    for name in names:
        (tmp_path / name).write_bytes(name.encode())
    text = subprocess.run([*command, *names], cwd=tmp_path, capture_output=True, check=True).stdout
    lines = sums.parse(text)
    assert [line.name for line in lines] == names
    for name in names:
        found = sums.find(lines, str(tmp_path / name), "list")
        assert found.digest == hashlib.new(found.algorithm, name.encode()).hexdigest()
