"""Images from a web server, with a signed list of checksums, on a real Ganeti"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from helper_agent.run import Completed, run
from tests.vm.capsule import ROOT
from tests.vm.cluster.ganeti import NODE_ADDRESS, Cluster
from tests.vm.images import debian

pytestmark = pytest.mark.cluster

NAMES = ("instance5.test", "instance6.test")
PORT = 8080
SETTINGS = "/etc/ganeti/instance-helper/config.toml"
KEYRINGS = "/etc/ganeti/instance-helper/keyrings"
IMAGE = f"http://{NODE_ADDRESS}:{PORT}/debian-12.raw.zst"
SIGNED = {"image_checksum": "SHA256SUMS", "image_signature": "SHA256SUMS.gpg"}


@pytest.fixture(scope="module")
def published(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A server on the node's network with an image, its list, and a signature; its log"""
    work = tmp_path_factory.mktemp("web")
    folder, home = work / "www", work / "gnupg"
    folder.mkdir()
    home.mkdir(mode=0o700)
    raw = ROOT / "build" / "images" / "debian-msdos.raw"
    run(["zstd", "-q", "-1", str(raw), "-o", str(folder / "debian-12.raw.zst")])
    digest = hashlib.sha256((folder / "debian-12.raw.zst").read_bytes()).hexdigest()
    (folder / "SHA256SUMS").write_text(f"{digest}  debian-12.raw.zst\n")
    gpg = ["gpg", "--homedir", str(home), "--batch", "--passphrase", ""]
    run([*gpg, "--quick-generate-key", "Images <images@example.org>", "ed25519", "sign", "never"])
    run([*gpg, "--output", str(folder / "SHA256SUMS.gpg"), "--detach-sign", str(folder / "SHA256SUMS")])
    keyrings = cluster.capsule.path(KEYRINGS)
    keyrings.mkdir(mode=0o755)
    (keyrings / "images.gpg").write_bytes(run([*gpg, "--export"]).stdout)
    run(["gpgconf", "--homedir", str(home), "--kill", "all"])
    inside = cluster.capsule.path("/srv/www")
    shutil.copytree(folder, inside)
    log = (work / "requests").open("w+")
    server = subprocess.Popen(
        cluster.capsule.argv(["python3", "-m", "http.server", "--directory", "/srv/www", str(PORT)]),
        stdout=subprocess.DEVNULL,
        stderr=log,
    )
    try:
        yield Path(log.name)
    finally:
        server.kill()
        server.wait()
        log.close()
        for name in NAMES:
            cluster.remove_instance(name)
        shutil.rmtree(keyrings)
        shutil.rmtree(inside)


@pytest.fixture
def policy(cluster: Cluster) -> Iterator[None]:
    """Only signed images"""
    settings = cluster.capsule.path(SETTINGS)
    before = settings.read_text()
    settings.write_text(before.replace('#require = "none"', 'require = "signature"'))
    assert settings.read_text() != before
    yield
    settings.write_text(before)


def said(done: Completed) -> str:
    return " ".join(f"{done.text} {done.stderr.decode()}".split())


def fetched(published: Path) -> int:
    return published.read_text(encoding="utf-8").count('"GET /debian-12.raw.zst')


def test_from_the_web_and_then_from_the_cache(cluster: Cluster, published: Path, policy: None) -> None:
    refused = cluster.add_instance(NAMES[0], {"image": IMAGE}, check=False)
    assert refused.returncode != 0 and "E-IMAGE-UNVERIFIED" in said(refused)
    assert not published.read_text(encoding="utf-8"), "not even asked for"
    cluster.remove_instance(NAMES[0])
    for name in NAMES:
        cluster.add_instance(name, {"image": IMAGE, **SIGNED}, words=["--no-start"])
        log = cluster.log_of("add", name)
        assert "images@example.org" in log, "who signed it"
        assert "raw+zst" in log
        disk = cluster.capsule.path(cluster.disk_of(name))
        assert debian.read(disk, "/etc/hostname") == f"{name.partition('.')[0]}\n"
    assert fetched(published) == 1, "the second is from the cache, by the list's checksum"
    listed = cluster.run(["ganeti-instance-helper", "cache", "list"]).text
    assert IMAGE in listed
    assert cluster.run(["ganeti-instance-helper", "cache", "verify"]).returncode == 0


def test_other_bytes_on_the_server(cluster: Cluster, published: Path, policy: None) -> None:
    """The mirror swaps the image: nothing that boots"""
    image = cluster.capsule.path("/srv/www/debian-12.raw.zst")
    cluster.run(["ganeti-instance-helper", "cache", "prune", "--all"])
    with image.open("r+b") as file:
        file.seek(-4, 2)
        last = file.read(1)
        file.seek(-4, 2)
        file.write(bytes([last[0] ^ 1]))
    cluster.remove_instance(NAMES[0])
    refused = cluster.add_instance(NAMES[0], {"image": IMAGE, **SIGNED}, words=["--no-start"], check=False)
    assert refused.returncode != 0
    assert "E-IMAGE-CHECKSUM" in said(refused) or "E-IMAGE-REFUSED" in said(refused)
    with cluster.capsule.path(cluster.disk_of(NAMES[0])).open("rb") as disk:
        assert not any(disk.read(1 << 20))
