"""A whole `create` whose image comes from elsewhere, through all that servers, networks and programs do

Whatever happens: one last line with its code and within its time, a disk that is as before or that doesn't look done,
and no secret of the URL anywhere.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import ftp
from tests.host import deploying, spy, web
from tests.host.deploying import MIB, Bench, checked, failed, wait_for
from tests.host.vm import fake_qemu

pytestmark = pytest.mark.root

SECRET = "canary-40d1"
QUERY = f"?sig={SECRET}"
POINTS = (0, 1, 65_536, 4 * MIB + 7, 8 * MIB - 1)
"""Bytes after which a body ends: before everything, in the head, in what is looked at, half-way, at the very end."""
QUICK = """
from helper_host import transfer
transfer.PATIENCE = transfer.Patience(tries=3, first=0.05, longest=0.1)
"""


class Node(Bench):
    """A bench with a web server that has its image"""

    server: web.Server
    file: web.File

    def begin(self, server: web.Server, *, cached: bool) -> None:
        self.server = server
        self.file = web.File(self.image.read_bytes())
        server.answers[f"/system.raw{QUERY}"] = self.file
        hooks = self.folder / "hooks"
        hooks.mkdir()
        (hooks / "show").write_text("#!/bin/sh\nenv\n")
        (hooks / "show").chmod(0o755)
        self.prelude += QUICK
        self.settings |= {
            "ca_file": str(server.ca_file),
            "verbose": True,
            "node_hooks": str(hooks),
            "cache_folder": str(self.folder / "cache"),
            "cache_size_mib": 100 if cached else 0,
            "download_silence_timeout": 1,
            "connect_timeout": 2,
            "http_headers": {web.HOST: {"X-Token": SECRET}},
        }
        self.parameters["image"] = self.url()

    def url(self, path: str = f"/system.raw{QUERY}", user: str = f"me:{SECRET}@") -> str:
        scheme, _, host = self.server.origin.partition("://")
        return f"{scheme}://{user}{host}{path}"

    def checksum(self) -> str:
        return f"sha256:{hashlib.sha256(self.image.read_bytes()).hexdigest()}"

    def check_secrets(self, log: str) -> None:
        assert SECRET not in log
        for path in self.folder.rglob("*"):
            # the settings are root's, and have the headers
            if path.is_file() and path not in (self.disk, self.folder / "trace") and path.name != "config.toml":
                assert SECRET.encode() not in path.read_bytes(), path

    def refused(self, code: str, *, within: float = 15.0, untouched: bool = False) -> str:
        """The last line of a create that fails"""
        ended = self.create(fake_qemu.good())
        failed(ended, code, within=within)
        assert self.is_old() if untouched else self.is_old() or self.head_is_empty()
        self.check_secrets(ended.log)
        parts = self.folder / "cache" / "parts"
        # what is kept of a download that broke may go on later; with a lock that nobody has, and nothing complete
        assert not (self.folder / "cache" / "objects").exists() or not os.listdir(self.folder / "cache" / "objects")
        assert not parts.exists() or len(os.listdir(parts)) < 5
        return ended.last

    def succeeds(self) -> str:
        ended = self.create(fake_qemu.good())
        assert ended.code == 0, ended.log
        assert self.is_deployed()
        self.check_secrets(ended.log)
        return ended.log


@pytest.fixture(params=["direct", "cached"])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Node]:
    with checked(Node(tmp_path)) as node, web.serving(tmp_path / "server") as server:
        node.begin(server, cached=request.param == "cached")
        yield node


def test_an_image_from_the_web(node: Node) -> None:
    log = node.succeeds()
    shown = node.url("/system.raw?...", "")
    assert f"image {shown}" in log
    assert f"OSP_IMAGE={shown}" in log, "hooks"
    assert node.server.calls[0].header("Authorization").startswith("Basic ")
    assert node.server.calls[0].header("X-Token") == SECRET


@pytest.mark.timed
def test_while_it_runs_nobody_sees_a_secret(node: Node) -> None:
    trace = node.folder / "trace"
    node.prelude = spy.prelude(trace) + node.prelude
    node.file.cuts = {0: 4 * MIB}
    node.file.stall = node.server.ended
    node.settings["download_silence_timeout"] = 30
    process = node.start(fake_qemu.good())
    assert wait_for(lambda: node.file.count)
    time.sleep(0.5)
    for path in (node.folder / "run").rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes()
    since = time.monotonic()
    process.terminate()
    ended = node.finish(process, since)
    failed(ended, "E-INTERRUPTED", within=3)
    assert node.is_old() or node.head_is_empty()
    node.check_secrets(ended.log)
    for program in spy.programs(trace):
        # Ganeti gives it to create itself
        mine = any(text.startswith(b"INSTANCE_NAME=") for text in program.environment)
        texts = program.arguments if mine else (*program.arguments, *program.environment)
        assert not [text for text in texts if SECRET.encode() in text]


@pytest.mark.parametrize("point", POINTS)
def test_a_body_that_ends_too_early(node: Node, point: int) -> None:
    """And always there: the server is asked again in vain"""
    node.file.cuts = dict.fromkeys(range(99), point)
    node.file.ranges = False
    last = node.refused("E-IMAGE-FETCH", untouched=point < 65_536)
    assert "broke off on the way (tried 3 times)" in last
    node.file.cuts = {}
    node.succeeds()


@pytest.mark.parametrize("point", POINTS)
def test_a_connection_that_breaks_once(node: Node, point: int) -> None:
    node.file.cuts = {0: point}
    assert "broke off" in node.succeeds()
    assert node.file.count == 2


@pytest.mark.parametrize("point", POINTS)
def test_a_file_on_the_node_that_is_a_part(node: Node, point: int) -> None:
    node.parameters |= {"image": str(node.image), "image_checksum": node.checksum()}
    os.truncate(node.image, point)
    code = "E-IMAGE-CHECKSUM" if point > 512 else "E-IMAGE-REFUSED"
    failed(node.create(fake_qemu.good()), code)
    assert node.is_old()


def status(line: str) -> Callable[[Node], None]:
    def prepare(node: Node) -> None:
        node.file.statuses = dict.fromkeys(range(99), line)

    return prepare


def stalls(node: Node) -> None:
    node.file.cuts = dict.fromkeys(range(99), 4 * MIB)
    node.file.stall = node.server.ended
    node.file.ranges = False


def silent(node: Node) -> None:
    node.server.answers[f"/system.raw{QUERY}"] = web.stalling(node.server, b"")


def drips(node: Node) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {8 * MIB}\r\n\r\n".encode()
    node.server.answers[f"/system.raw{QUERY}"] = web.dripping(node.server, head + bytes(70_000), b"x")


def resets(node: Node) -> None:
    node.file.cuts = dict.fromkeys(range(99), 0)
    node.file.resets = True


def longer(node: Node) -> None:
    node.file.said = 8 * MIB + 512
    node.file.ranges = False


def no_length(node: Node) -> None:
    node.file.said = -7


def circle(node: Node) -> None:
    node.server.answers[f"/system.raw{QUERY}"] = web.redirect(f"/system.raw{QUERY}")


def to_file(node: Node) -> None:
    node.server.answers[f"/system.raw{QUERY}"] = web.redirect(f"file://{node.image}")


def to_ftp(node: Node) -> None:
    node.server.answers[f"/system.raw{QUERY}"] = web.redirect("ftp://127.0.0.1/system.raw")


def no_authority(node: Node) -> None:
    node.settings["ca_file"] = ""


def gone(node: Node) -> None:
    node.server.close()


FAULTS: dict[str, tuple[Callable[[Node], None], str, bool]] = {
    "404": (status("404 Not Found"), "the server says 404", True),
    "403": (status("403 Forbidden"), "the server says 403", True),
    "500": (status("500 Oh"), "the server says 500 Oh (tried 3 times)", True),
    "429 for long": (status("429 No\r\nRetry-After: 7200"), "try again in 7200 s", True),
    "stall": (stalls, "", False),
    "silence": (silent, "fell silent", True),
    "drip": (drips, "", False),
    "reset": (resets, "broke off", True),
    "longer than it is": (longer, "", False),
    "a length that is none": (no_length, "length", True),
    "redirect loop": (circle, "redirects more than 5 times", True),
    "redirect to a file": (to_file, "leads to a URL that does not begin with", True),
    "redirect to ftp": (to_ftp, "leads to a URL that does not begin with", True),
    "TLS": (no_authority, "certificate does not hold", True),
    "nobody there": (gone, "no connection", True),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_servers_do(node: Node, fault: str) -> None:
    prepare, words, untouched = FAULTS[fault]
    prepare(node)
    assert words in node.refused("E-IMAGE-FETCH", untouched=untouched)


def test_a_wrong_checksum(node: Node) -> None:
    node.parameters["image_checksum"] = "sha256:" + "0" * 64
    assert "sha256" in node.refused("E-IMAGE-CHECKSUM")


def test_the_right_checksum(node: Node) -> None:
    node.parameters["image_checksum"] = node.checksum()
    node.succeeds()


def test_a_url_that_is_not_listed(node: Node) -> None:
    node.settings["image_urls"] = ["https://images.example.org/"]
    node.refused("E-IMAGE-MISSING", untouched=True)
    assert node.server.calls == []


def test_an_image_through_a_program(tmp_path: Path) -> None:
    """The example of the manual, with a real FTP server"""
    example = Path(deploying.__file__).parents[2] / "host" / "examples" / "fetch-ftp"
    with checked(Node(tmp_path)) as node, ftp.serving(node.image.parent, password=SECRET) as server:
        program = tmp_path / "fetch-ftp"
        program.write_bytes(example.read_bytes())
        program.chmod(0o755)
        node.settings |= {"image_programs": {"ftp": str(program)}, "verbose": True}
        trace = node.folder / "trace"
        node.prelude = spy.prelude(trace) + node.prelude
        node.parameters["image"] = server.url("/system.raw", f"me:{SECRET}@")
        log = node.succeeds()
        assert f"image {server.url('/system.raw')}" in log
        assert server.logins == [("me", SECRET)]
        assert any(b"fetch-ftp" in argument for each in spy.programs(trace) for argument in each.arguments)
        assert not [each for each in spy.programs(trace) if any(SECRET.encode() in text for text in each.arguments)]
        node.parameters["image"] = server.url("/other.raw", f"me:{SECRET}@")
        node.disk.write_bytes((deploying.OLD * (deploying.DISK_SIZE // len(deploying.OLD) + 1))[: deploying.DISK_SIZE])
        assert "550" in node.refused("E-IMAGE-FETCH", untouched=True)


@pytest.mark.timed
def test_a_kind_that_no_program_fetches(tmp_path: Path) -> None:
    with checked(Node(tmp_path)) as node:
        node.parameters["image"] = f"ftp://me:{SECRET}@127.0.0.1/system.raw"
        last = node.refused("E-PARAMETER", untouched=True, within=3)
        assert "image_programs" in last
