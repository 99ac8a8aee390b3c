"""Settings: files, variants, and every way in which they can be wrong"""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path

import pytest

from helper_host import settings
from helper_host.errors import ProviderError
from helper_host.setting_tables import Given
from helper_host.settings import Settings, load


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty settings folder"""
    (tmp_path / "variants").mkdir()
    return tmp_path


def write(folder: Path, text: str, variant: str = "") -> Path:
    path = folder / "variants" / f"{variant}.toml" if variant else folder / "config.toml"
    path.write_text(text)
    path.chmod(0o644)
    return path


def refusal(folder: Path, variant: str = "") -> str:
    with pytest.raises(ProviderError) as caught:
        load(variant, str(folder))
    assert caught.value.code == "E-SETTINGS"
    return str(caught.value)


def test_without_a_file_there_are_defaults(folder: Path) -> None:
    loaded = load("default", str(folder))
    assert loaded.memory_mib == 0
    assert loaded.accel == "auto"
    assert loaded.image_store == "/var/lib/ganeti-instance-helper/images"


def test_the_file_overrides_the_defaults_and_the_variant_the_file(folder: Path) -> None:
    write(folder, 'memory_mib = 512\naccel = "tcg"\nimage_folders = ["/srv/a/"]\n')
    write(folder, "memory_mib = 1024\n", variant="big")
    assert load("", str(folder)).memory_mib == 512
    big = load("big", str(folder))
    assert (big.memory_mib, big.accel, big.image_folders) == (1024, "tcg", ("/srv/a",))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("memory = 3\n", "did you mean memory_mib?"),
        ("colour = 3\n", "unknown key 'colour'"),
        ("memory_mib = true\n", "memory_mib = True must be a number of MiB"),
        ("memory_mib = 4\n", "memory_mib = 4 must be"),
        ("cache_max_age = '7d'\n", "must be a number of seconds, 0 or more"),
        ("total_timeout = 0\n", "total_timeout = 0 must be a number of seconds"),
        ("total_timeout = nan\n", "total_timeout = nan must be"),
        ("total_timeout = inf\n", "total_timeout = inf must be"),
        ('accel = "fast"\n', "accel = 'fast' must be"),
        ('image_store = "images"\n', "image_store = 'images' must be an absolute path"),
        ('image_store = "/a/../b"\n', "must be an absolute path"),
        ('image_folders = "/a"\n', "must be a list"),
        ("wipe_rest = 1\n", "wipe_rest = 1 must be true or false"),
        ("memory_mib = \n", "is not TOML"),
        ("[parameters]\nimage = 3.5\n", "[parameters] image must be"),
        ("[parameters]\nswap = 'x'\n", "OS parameter 'swap': 'x' is neither"),
        ("[parameters]\nsawp = 'x'\n", "OS parameter 'sawp': is not known"),
        ("parameters = 3\n", "parameters must be a table"),
        ("tasks = 3\n", "has tasks that are no tables"),
        ("[tasks]\nowner = 'x'\n", "has the option 'owner' of no task"),
        ("[tasks.motd]\nowner = 1.5\n", "has for motd.owner no text, number"),
        ("[tasks.motd]\nowner = [1]\n", "has for motd.owner no text, number"),
        ('tasks_folder = ""\n', "must be an absolute path"),
        ('node_hooks = "hooks"\n', "must be an absolute path"),
        ("node_hooks_timeout = 0\n", "must be a number of seconds"),
        ('ca_file = "ca.pem"\n', "must be an absolute path"),
        ("proxy = 3128\n", "proxy = 3128 must be a URL"),
        ('no_proxy = "example.org"\n', "must be a list of hosts"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_key(folder: Path, text: str, words: str) -> None:
    path = write(folder, text)
    message = refusal(folder)
    assert words in message
    assert str(path) in message


def test_a_secret_in_a_file_is_not_quoted(folder: Path) -> None:
    write(folder, "[parameters]\npassword_hash = 'canary'\n")
    assert "canary" not in refusal(folder)


def test_a_file_that_others_can_write_is_refused(folder: Path) -> None:
    write(folder, "memory_mib = 512\n").chmod(0o666)
    assert "chmod go-w" in refusal(folder)


def test_somebody_elses_file_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(folder, "memory_mib = 512\n")
    if os.geteuid() == 0:
        os.chown(path, 12345, 0)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert "does not belong to root" in refusal(folder)


def test_a_fifo_neither_blocks_nor_passes(folder: Path) -> None:
    os.mkfifo(folder / "config.toml", 0o600)
    assert "is not a regular file" in refusal(folder)


@pytest.mark.parametrize("name", ["../config", "a/b", "", " ", "-x"])
def test_a_variants_name_leads_nowhere_else(folder: Path, name: str) -> None:
    write(folder, "memory_mib = 512\n")
    if name:
        refusal(folder, name)
    else:
        load(name, str(folder))


def test_parameter_defaults_become_texts(folder: Path) -> None:
    write(folder, '[parameters]\nroot_partition = 2\ndns_servers = ["192.0.2.1", "192.0.2.2"]\n')
    assert load("", str(folder)).parameters == {"root_partition": "2", "dns_servers": "192.0.2.1 192.0.2.2"}


def test_options_of_tasks_are_merged_one_by_one(folder: Path) -> None:
    config = write(folder, '[tasks."org.example.motd"]\nowner = "a"\nsize = 1\n[tasks.hostname]\nname = "x"\n')
    big = write(folder, '[tasks.org.example.motd]\nowner = "b"\nlines = ["c"]\n', variant="big")
    loaded = load("big", str(folder)).tasks
    assert loaded["org.example.motd"] == {
        "owner": Given("b", str(big)),
        "size": Given(1, str(config)),
        "lines": Given(["c"], str(big)),
    }
    assert loaded["hostname"] == {"name": Given("x", str(config))}
    assert load("", str(folder)).changed(verbose=True).tasks["org.example.motd"]["owner"].value == "a"


def test_a_tasks_option_is_not_in_the_representation(folder: Path) -> None:
    write(folder, '[tasks.motd]\ntoken = "canary"\n')
    assert "canary" not in repr(load("", str(folder)).tasks)


def test_the_example_is_all_comments_and_right_when_they_are_taken_away(folder: Path) -> None:
    text = settings.example()
    assert all(not line or line.startswith("#") for line in text.splitlines())
    bare = "\n".join(line.removeprefix("#") for line in text.splitlines() if not line.startswith("# "))
    assert tomllib.loads(bare).keys() == {*Settings.rows, "parameters", "tasks"}
    write(folder, bare)
    loaded = load("", str(folder))
    for name, row in Settings.rows.items():
        assert getattr(loaded, name) == row.default, name


def test_the_installed_example_needs_no_toml_parser(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, settings.example())
    monkeypatch.setattr(tomllib, "loads", None)
    assert load("", str(folder)).values == {}


def test_settings_do_not_change() -> None:
    loaded = Settings.of(accel="tcg")
    with pytest.raises(AttributeError):
        loaded.accel = "kvm"
    assert loaded.changed(verbose=True).accel == "tcg"
    with pytest.raises(TypeError, match="colour"):
        Settings.of(colour=1)


def test_the_time_limit_grows_with_the_disks() -> None:
    limits = Settings.of(total_timeout=100.0, total_timeout_per_gib=10.0)
    assert limits.total_seconds(0) == 100
    assert limits.total_seconds(5 << 30) == 150


@pytest.mark.parametrize(
    "proxy", ["http://me:s3cr3t@proxy.example.org:3128", "me:s3cr3t@proxy:3128", "nonsense s3cr3t"]
)
def test_a_proxy_is_taken_as_it_is(folder: Path, proxy: str) -> None:
    """Whatever it looks like: an error would show the password in it"""
    write(folder, f'proxy = "{proxy}"\nno_proxy = [".example.org"]\n')
    loaded = load("", str(folder))
    assert (loaded.proxy, loaded.no_proxy) == (proxy, (".example.org",))


@pytest.mark.parametrize("url", ["https://h:x/", "https://[::1/", "https://h", "https://u@h/", "h/", "https://h/?x", 5])
def test_beginnings_of_urls_that_are_none(tmp_path: Path, url: object) -> None:
    (tmp_path / "config.toml").write_text(f"image_urls = [{json.dumps(url)}]\n")
    with pytest.raises(ProviderError, match=r"E-SETTINGS: .*image_urls"):
        load("", str(tmp_path))
