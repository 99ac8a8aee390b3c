"""The folder of keyrings: formats, whose files they are, and what is no keyring"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from helper_host.errors import ProviderError
from helper_host.image.integrity import keyrings
from helper_host.settings import Settings
from tests.host.signing import PUBLISHER, RELEASE, STRANGER, Keys

pytestmark = pytest.mark.programs


def load(folder: Path) -> list[bytes]:
    return keyrings.load(Settings.of(keyrings=str(folder)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "keyrings"
    folder.mkdir(mode=0o755)
    return folder


def refused(folder: Path, code: str, why: str) -> None:
    with pytest.raises(ProviderError, match=why) as caught:
        load(folder)
    assert caught.value.code == code


def test_all_files_make_one_keyring(folder: Path, keys: Keys) -> None:
    keys.keyrings(folder, PUBLISHER, STRANGER)
    (folder / "README").write_text("not a key")
    (folder / ".hidden.gpg").write_text("not a key")
    (folder / "old.gpg").mkdir()
    assert load(folder) == [keys.export(PUBLISHER) + keys.export(STRANGER)]


def test_armour_with_text_around_it_and_several_blocks(folder: Path, keys: Keys) -> None:
    blocks = [keys.export(name, armor=True).decode() for name in (PUBLISHER, RELEASE)]
    with_header = blocks[0].replace("BLOCK-----\n\n", "BLOCK-----\nComment: the publisher's\n\n", 1)
    assert "Comment" in with_header
    text = f"Our key:\n\n{with_header}\n\nand the other\n{blocks[1]}\n".replace("\n", "\r\n")
    (folder / "keys.asc").write_text(text, newline="")
    assert load(folder) == [keys.export(PUBLISHER) + keys.export(RELEASE)]


def test_a_keybox_stays_as_it_is(folder: Path, keys: Keys) -> None:
    box = folder / "box.gpg"
    keys.gpg(
        "--trust-model",
        "always",
        "--no-default-keyring",
        "--keyring",
        str(box),
        "--import",
        stdin=keys.export(PUBLISHER),
    )
    assert box.read_bytes()[8:12] == b"KBXf"
    (folder / "plain.gpg").write_bytes(keys.export(STRANGER))
    assert load(folder) == [keys.export(STRANGER), box.read_bytes()]


def test_no_folder_and_no_key(folder: Path, tmp_path: Path) -> None:
    refused(folder, "E-IMAGE-SIGNATURE", "There is no key .*gpg --export --armor")
    refused(tmp_path / "missing", "E-IMAGE-SIGNATURE", "There is no key")


@pytest.mark.parametrize("name", ["a.gpg", "a.asc"])
def test_what_is_no_keyring(folder: Path, keys: Keys, name: str) -> None:
    whole = keys.export(PUBLISHER, armor=name.endswith("asc"))
    for content in (b"", b"nonsense", bytes(100), whole[:-60], keys.sign(b"x")):
        (folder / name).write_bytes(content)
        refused(folder, "E-SETTINGS", f"{name} is not a")


@pytest.mark.parametrize("armor", [True, False])
def test_a_private_key(folder: Path, keys: Keys, armor: bool) -> None:
    options = ["--armor"] if armor else []
    secret = keys.gpg(*options, "--pinentry-mode", "loopback", "--passphrase", "", "--export-secret-keys", PUBLISHER)
    (folder / "a.asc").write_bytes(secret)
    refused(folder, "E-SETTINGS", "has a private key in it")


def test_files_that_others_can_write(folder: Path, keys: Keys) -> None:
    keys.keyrings(folder, PUBLISHER)
    (folder / "0.gpg").chmod(0o666)
    refused(folder, "E-SETTINGS", "can be written by others")
    (folder / "0.gpg").chmod(0o644)
    load(folder)
    folder.chmod(0o777)
    refused(folder, "E-SETTINGS", "can be written by others")


@pytest.mark.root
def test_files_of_others(folder: Path, keys: Keys) -> None:
    keys.keyrings(folder, PUBLISHER)
    os.chown(folder / "0.gpg", 1000, 1000)
    refused(folder, "E-SETTINGS", "does not belong to root")


def test_too_large(folder: Path) -> None:
    with (folder / "a.gpg").open("wb") as file:
        file.truncate(keyrings.LIMIT + 1)
    refused(folder, "E-SETTINGS", "has more than")
