"""The example of a program that fetches images, against a real FTP server"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from helper_host.errors import ProviderError
from helper_host.image.sources import Places, open_reference
from tests import ftp

pytestmark = pytest.mark.programs

BODY = bytes(range(256)) * 20_000
SECRET = "canary-e2f0"
PROGRAM = Path(__file__).parents[2] / "host" / "examples" / "fetch-ftp"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ftp.Server]:
    folder = tmp_path / "ftp"
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "debian 12.raw").write_bytes(BODY)
    with ftp.serving(folder, password=SECRET) as server:
        yield server


@pytest.fixture
def places(tmp_path: Path) -> Places:
    # a checkout may be somebody's own
    program = tmp_path / "fetch-ftp"
    program.write_bytes(PROGRAM.read_bytes())
    program.chmod(0o755)
    return Places("/nowhere", (), programs={"ftp": str(program)})


def fetched(reference: str, places: Places) -> tuple[int | None, bytes]:
    content = open_reference(reference, places)
    assert content is not None
    with content:
        size = content.size
        return size, b"".join(map(bytes, content.pieces(threading.Event())))


def refused(reference: str, places: Places) -> str:
    with pytest.raises(ProviderError) as caught:
        fetched(reference, places)
    assert caught.value.code == "E-IMAGE-FETCH"
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_a_file_with_its_size(server: ftp.Server, places: Places) -> None:
    assert fetched(server.url("/images/debian%2012.raw"), places) == (len(BODY), BODY)


def test_a_user_with_a_password(server: ftp.Server, places: Places) -> None:
    url = server.url("/images/debian%2012.raw", f"me:{SECRET}@")
    assert fetched(url, places) == (len(BODY), BODY)
    assert server.logins[-1] == ("me", SECRET)


def test_a_wrong_password(server: ftp.Server, places: Places) -> None:
    assert "530" in refused(server.url("/images/debian%2012.raw", f"me:not-{SECRET}@"), places)


def test_a_file_that_is_not_there(server: ftp.Server, places: Places) -> None:
    assert "550" in refused(server.url("/images/nothing"), places)


def test_a_server_that_breaks_off(server: ftp.Server, places: Places) -> None:
    server.cut = 1_000_000
    assert "fetch-ftp" in refused(server.url("/images/debian%2012.raw"), places)


@pytest.mark.parametrize("path", ["", "/", "/a%0d%0aDELE%20b", "/a%0aDELE%20b"])
def test_paths_that_are_none(server: ftp.Server, places: Places, path: str) -> None:
    assert "give ftp://" in refused(server.url(path), places)
    assert server.logins == []


def test_a_password_that_would_be_a_command(server: ftp.Server, places: Places) -> None:
    assert "give ftp://" in refused(server.url("/x", "me:a%0d%0aDELE%20b@"), places)
