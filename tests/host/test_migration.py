"""Command lines out of the manuals of snf-image and instance-simpleimage, unchanged but for the name of the OS

The text between the quotes is theirs: docs/usage.rst and docs/interface.rst of snf-image 0.23, README.md of
instance-simpleimage. Ganeti's part, from `-O` to our environment, is done here as its manual says (gnt-instance(8)).
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from helper_host.ganeti import parameters, properties
from helper_host.ganeti.parameters import Parameters, accounts
from helper_host.image.partitioning import choice
from helper_host.image.partitioning.msdos import Msdos
from tests.host import web
from tests.host.deploying import DISK_SIZE, MIB, Bench, Ended, checked, failed
from tests.host.test_deploying_tasks import JOB_AT, job, with_job
from tests.host.vm import fake_qemu

SNF_USAGE = r"""
  gnt-instance add -o snf-image+default \
    -O img_passwd=1Ki77y,img_format=diskdump,img_id=debian_base-7.0-x86_64,img_properties='{"OSFAMILY":"linux"\,"ROOT_PARTITION":"1"\,"USERS":"root"}' \
    -t plain --disk=0:size=10G --no-name-check --no-ip-check --no-nics my_debian_server1
"""  # noqa: E501
SNF_NO_TASKS = r"""
  gnt-instance add -o snf-image+default \
    -O img_passwd=1Ki77y,img_format=diskdump,img_id=debian_base-7.0-x86_64,img_properties='{"EXCLUDE_ALL_TASKS":"yes"}' \
    -t plain --disk=0:size=10G --no-name-check --no-ip-check --no-nics my_debian_server2
"""  # noqa: E501
SNF_NULL = r"""
  gnt-instance add -o snf-image+default \
    -O img_passwd=1Ki77y,img_format=diskdump,img_id=null,img_properties='{"OSFAMILY":"linux"\,"ROOT_PARTITION":"1"\,"USERS":"root"}' \
    -t plain --disk=0:size=10G --no-name-check --no-ip-check --no-nics my_debian_server3
"""  # noqa: E501
SNF_PROPERTIES = r"""
   gnt-instance add -O img_properties='{"OSFAMILY":"linux"\,"ROOT_PARTITION":"2"\,"USERS":"root guest"}',img_format=diskdump,img_id=...
"""  # noqa: E501
SIMPLE_NOCLOUD = r"""
gnt-instance add -t plain --disk=0:size=4g \
                 -B minmem=1G,maxmem=1G,vcpus=2 \
                 -o simpleimage+default \
                 -O image=https://cloud.debian.org/images/cloud/bullseye/daily/latest/debian-11-nocloud-amd64-daily.raw,image_type=raw \
                 debian-nocloud.example.org
"""  # noqa: E501
SIMPLE_LOCAL = r"""
gnt-instance add -t plain --disk=0:size=4g \
                 -B minmem=1G,maxmem=1G,vcpus=2 \
                 -o simpleimage+default \
                 -O image=/data/images/linux.img.xz,image_type=raw+xz \
                 machine.example.org
"""
SIMPLE_QCOW2 = r"""
gnt-instance add -t plain --disk=0:size=4g \
                 -B minmem=1G,maxmem=1G,vcpus=2 \
                 -o simpleimage+default \
                 -O image=https://cloud.debian.org/images/cloud/bullseye/daily/latest/debian-11-genericcloud-amd64-daily.qcow2,image_type=qcow2 \
                 debian-genericcloud.example.org
"""  # noqa: E501
NOCLOUD = "/images/cloud/bullseye/daily/latest/debian-11-nocloud-amd64-daily.raw"
GENERIC = "/images/cloud/bullseye/daily/latest/debian-11-genericcloud-amd64-daily.qcow2"
PASSWORD = "1Ki77y"


def options(command: str) -> dict[str, str]:
    """The OS parameters of a command line, as the shell and Ganeti take it apart"""
    words = shlex.split(command)
    text = words[words.index("-O") + 1]
    pairs = [part.replace("\\,", ",").partition("=") for part in re.split(r"(?<!\\),", text)]
    return {name: value for name, _, value in pairs}


def parsed(command: str | dict[str, str]) -> Parameters:
    """What of it arrives here, and passes verify"""
    given = options(command) if isinstance(command, str) else command
    return parameters.parse({parameters.variable(name): value for name, value in given.items()})


class Meant(NamedTuple):
    """What a command line asks for"""

    image: str
    format: str
    table: str = ""
    password: str = ""
    users: tuple[str, ...] = ()
    root_partition: str = ""
    os_family: str = ""
    no_tasks: bool = False


def meant(given: Parameters) -> Meant:
    wishes = properties.read(given.img_properties, given.inst_properties)
    frame = choice.choose(given.partition, given.image_format, DISK_SIZE)
    return Meant(
        given.image,
        given.image_format,
        frame.name if frame is not None else "",
        given.password,
        given.users or wishes.users,
        given.root_partition or wishes.root_partition,
        given.os_family or wishes.os_family,
        wishes.flag(properties.EXCLUDE_ALL),
    )


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        (SNF_USAGE, Meant("debian_base-7.0-x86_64", "diskdump", "", PASSWORD, ("root",), "1", "linux")),
        (SNF_NO_TASKS, Meant("debian_base-7.0-x86_64", "diskdump", "", PASSWORD, no_tasks=True)),
        (SNF_NULL, Meant("null", "diskdump", "", PASSWORD, ("root",), "1", "linux")),
        (
            SNF_PROPERTIES.replace("=...", "=debian"),
            Meant("debian", "diskdump", "", "", ("root", "guest"), "2", "linux"),
        ),
        (SIMPLE_NOCLOUD, Meant(f"https://cloud.debian.org{NOCLOUD}", "raw")),
        (SIMPLE_LOCAL, Meant("/data/images/linux.img.xz", "raw+xz")),
        (SIMPLE_QCOW2, Meant(f"https://cloud.debian.org{GENERIC}", "qcow2")),
    ],
    ids=["usage", "no tasks", "null", "properties", "nocloud", "local xz", "qcow2"],
)
def test_what_their_examples_mean(command: str, wanted: Meant) -> None:
    assert meant(parsed(command)) == wanted


@pytest.mark.parametrize(
    ("reference", "ours"),
    [
        ("local://slackware.diskdump", "local://slackware.diskdump"),
        ("slackware.diskdump", "slackware.diskdump"),
        ("file://slackware.diskdump", "local://slackware.diskdump"),
        ("file:///srv/images/slackware.diskdump", "file:///srv/images/slackware.diskdump"),
        (
            "https://cdn.synnefo.org/debian_base-8.0-x86_64.diskdump",
            "https://cdn.synnefo.org/debian_base-8.0-x86_64.diskdump",
        ),
        ("pithos://8a3e/images/slackware", "pithos://8a3e/images/slackware"),
        ("null", "null"),
    ],
)
def test_every_kind_of_img_id(reference: str, ours: str) -> None:
    assert parsed({"img_id": reference, "img_format": "diskdump"}).image == ours


@pytest.mark.parametrize(
    ("image_format", "table", "kind"), [("diskdump", "", 0), ("extdump", "msdos", 0x83), ("ntfsdump", "msdos", 0x07)]
)
def test_every_img_format(image_format: str, table: str, kind: int) -> None:
    given = parsed({"img_id": "slackware", "img_format": image_format})
    assert meant(given).table == table
    frame = choice.choose(given.partition, given.image_format, DISK_SIZE)
    assert (frame.head(MIB)[450] if frame is not None else 0) == kind


@pytest.mark.parametrize("image_type", ["raw", "raw+gz", "raw+bz2", "raw+bzip2", "raw+xz", "qcow2"])
def test_every_image_type(image_type: str) -> None:
    assert meant(parsed({"image": "/data/images/linux", "image_type": image_type})) == Meant(
        "/data/images/linux", image_type
    )


def test_the_rest_of_snf_images_parameters_in_this_field() -> None:
    given = parsed({"img_passwd_hash": accounts.HASH, "auth_keys": accounts.KEY, "config_url": "http://x.example/"})
    assert (given.password_hash, given.ssh_keys) == (accounts.HASH, (accounts.KEY,))
    assert given.config_url is not None


# --- and they do it ---------------------------------------------------------------------------------------------------


class Node(Bench):
    """A bench with an image store and a cache of its own"""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.store = folder / "store"
        self.store.mkdir()
        self.settings |= {"image_store": str(self.store), "cache_folder": str(folder / "cache")}
        self.content = self.image.read_bytes()

    def run(self, given: str | dict[str, str], **variables: str) -> Ended:
        """A create with the parameters of a command line"""
        self.parameters = options(given) if isinstance(given, str) else given
        ended = self.create(with_job(), **variables)
        assert PASSWORD not in ended.log
        return ended

    def has(self, content: bytes, at: int = 0) -> bool:
        """Whether the disk holds `content`; the job that the helper got lies behind"""
        assert at + len(content) <= JOB_AT
        return self.disk.read_bytes()[at : at + len(content)] == content


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with checked(Node(tmp_path)) as node:
        yield node


@pytest.fixture
def internet(node: Node, tmp_path: Path) -> Iterator[web.Server]:
    """All the hosts of the examples, behind a proxy, as clusters have one"""
    hosts = ("cloud.debian.org", "cdn.synnefo.org", "config.example.org")
    with (
        web.serving(tmp_path / "tls", names=hosts) as server,
        web.serving(tmp_path / "proxy", tls=False) as proxy,
    ):
        for host in hosts:
            proxy.answers[f"{host}:443"] = web.tunnel_to(web.HOST, server.port)
        node.settings |= {"proxy": proxy.origin, "ca_file": str(server.ca_file)}
        yield server


@pytest.mark.root
def test_snf_images_first_example(node: Node) -> None:
    (node.store / "debian_base-7.0-x86_64.diskdump").write_bytes(node.content)
    ended = node.run(SNF_USAGE)
    assert ended.code == 0, ended.log
    assert node.has(node.content)
    made, _ = job(node)
    assert (made.os_family, made.root_partition) == ("linux", "1")
    assert made.options["password"]["users"] == ["root"]
    assert made.options["password"]["hashes"]


@pytest.mark.root
def test_snf_images_example_without_tasks(node: Node) -> None:
    (node.store / "debian_base-7.0-x86_64.diskdump").write_bytes(node.content)
    node.parameters = options(SNF_NO_TASKS)
    # whoever starts a helper gets one that fails
    ended = node.create([["exit", 1]])
    assert ended.code == 0, ended.log
    assert node.has(node.content)


@pytest.mark.root
def test_snf_images_example_without_an_image(node: Node) -> None:
    before = node.disk.read_bytes()
    ended = node.run(SNF_NULL)
    assert ended.code == 0, ended.log
    assert node.disk.read_bytes()[:JOB_AT] == before[:JOB_AT]
    made, _ = job(node)
    assert made.options["password"]["users"] == ["root"]


@pytest.mark.root
def test_snf_images_example_over_https(node: Node, internet: web.Server) -> None:
    internet.answers["/debian_base-8.0-x86_64.diskdump"] = web.File(node.content)
    url = "https://cdn.synnefo.org/debian_base-8.0-x86_64.diskdump"
    ended = node.run({"img_id": url, "img_format": "diskdump", "img_passwd": PASSWORD})
    assert ended.code == 0, ended.log
    assert node.has(node.content)


@pytest.mark.root
@pytest.mark.parametrize("reference", ["slackware", "local://slackware.extdump", "file://slackware.extdump"])
def test_an_extdump(node: Node, reference: str) -> None:
    """And the file of that format, where there is one of another beside it"""
    (node.store / "slackware.diskdump").write_bytes(bytes(512))
    (node.store / "slackware.extdump").write_bytes(node.content)
    ended = node.run({"img_id": reference, "img_format": "extdump", "img_passwd": PASSWORD})
    assert ended.code == 0, ended.log
    assert node.has(node.content, MIB)
    found = subprocess.run(["sfdisk", "--json", str(node.disk)], check=True, capture_output=True, text=True)
    table = json.loads(found.stdout)["partitiontable"]
    (row,) = table["partitions"]
    assert (table["label"], row["start"], row["type"], row["bootable"]) == ("dos", 2048, "83", True)
    assert row["size"] * 512 == len(node.content)
    assert node.has(Msdos().head(len(node.content))[:440])


@pytest.mark.root
def test_an_ntfsdump_is_written_at_least(node: Node) -> None:
    """Nothing here customises Windows yet"""
    (node.store / "windows.ntfsdump").write_bytes(node.content)
    node.parameters = {"img_id": "windows", "img_format": "ntfsdump", "img_properties": '{"EXCLUDE_ALL_TASKS":"yes"}'}
    ended = node.create([["exit", 1]])
    assert ended.code == 0, ended.log
    assert node.has(node.content, MIB)
    assert node.disk.read_bytes()[446 + 4] == 0x07


@pytest.mark.root
def test_simpleimages_debian(node: Node, internet: web.Server) -> None:
    internet.answers[NOCLOUD] = web.File(node.content)
    ended = node.run(SIMPLE_NOCLOUD)
    assert ended.code == 0, ended.log
    assert node.has(node.content)


@pytest.mark.root
def test_simpleimages_qcow2(node: Node, internet: web.Server, tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    argv = ["qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", "-c", str(node.image), str(packed)]
    subprocess.run(argv, check=True)
    internet.answers[GENERIC] = web.File(packed.read_bytes())
    ended = node.run(SIMPLE_QCOW2)
    assert ended.code == 0, ended.log
    assert node.has(node.content)


@pytest.mark.root
def test_simpleimages_local_file(node: Node) -> None:
    """Its folder has to be allowed; here it is another one, too"""
    (node.image.parent / "linux.img.xz").write_bytes(lzma.compress(node.content))
    refused = node.run(SIMPLE_LOCAL)
    failed(refused, "E-IMAGE-MISSING")
    assert "image_folders in the settings" in refused.last
    assert node.is_old()
    ended = node.run(SIMPLE_LOCAL.replace("/data/images", str(node.image.parent)))
    assert ended.code == 0, ended.log
    assert node.has(node.content)


@pytest.mark.root
@pytest.mark.parametrize(
    ("image_type", "pack"),
    [("raw", bytes), ("raw+gz", gzip.compress), ("raw+bz2", bz2.compress), ("raw+bzip2", bz2.compress)],
)
def test_simpleimages_other_types(node: Node, image_type: str, pack: Any) -> None:
    path = node.image.with_name("linux.img")
    path.write_bytes(pack(node.content))
    ended = node.run({"image": str(path), "image_type": image_type})
    assert ended.code == 0, ended.log
    assert node.has(node.content)


# --- config_url -------------------------------------------------------------------------------------------------------


SECRET = "canary-config-url"
DOCUMENT = {
    "img_id": "debian_base-7.0-x86_64",
    "img_format": "diskdump",
    "img_passwd": SECRET,
    "img_properties": {"OSFAMILY": "linux", "ROOT_PARTITION": 1, "USERS": "root guest"},
    "img_personality": "[]",
}


@pytest.mark.root
def test_all_parameters_from_a_config_url(node: Node, internet: web.Server) -> None:
    (node.store / "debian_base-7.0-x86_64.diskdump").write_bytes(node.content)
    internet.answers[f"/web.json?token={SECRET}"] = web.content(json.dumps(DOCUMENT).encode())
    ended = node.run({"config_url": f"https://me:{SECRET}@config.example.org/web.json?token={SECRET}"})
    assert ended.code == 0, ended.log
    assert SECRET not in ended.log
    assert "config_url https://config.example.org/web.json?...: img_id, img_format, " in ended.log
    assert node.has(node.content)
    made, _ = job(node)
    assert made.options["password"]["users"] == ["root", "guest"]
    assert made.root_partition == "1"
    left = [path for path in node.folder.rglob("*") if path.is_file() and path != node.disk]
    assert not [path for path in left if SECRET.encode() in path.read_bytes()]


@pytest.mark.root
def test_the_command_line_wins(node: Node) -> None:
    (node.store / "config.json").write_text(json.dumps(DOCUMENT | {"img_id": "nowhere"}))
    url = f"file://{node.store}/config.json"
    ended = node.run({"config_url": url, "image": str(node.image), "users": "debian", "img_passwd": PASSWORD})
    assert ended.code == 0, ended.log
    assert node.has(node.content)
    made, _ = job(node)
    assert made.options["password"]["users"] == ["debian"]
    assert SECRET not in ended.log


@pytest.mark.root
@pytest.mark.parametrize(
    ("document", "words"),
    [
        (DOCUMENT | {"img_personality": [{"path": "/a", "contents": f"!{SECRET}"}]}, "img_personality"),
        (DOCUMENT | {"os_product_key": SECRET, "os_answer_file": SECRET}, "os_product_key, os_answer_file"),
        (DOCUMENT | {"img_format": SECRET}, "img_format"),
        ([SECRET], "but no object"),
    ],
)
def test_a_config_that_is_not_right(node: Node, document: Any, words: str) -> None:
    (node.store / "config.json").write_text(json.dumps(document))
    node.parameters = {"config_url": f"file://{node.store}/config.json"}
    ended = node.create(fake_qemu.good())
    failed(ended, "E-CONFIG-URL", within=5)
    assert words in ended.last
    assert SECRET not in ended.log
    assert node.is_old()


@pytest.mark.root
def test_a_config_that_is_not_there(node: Node, internet: web.Server) -> None:
    node.parameters = {"config_url": "https://config.example.org/none.json", "image": str(node.image)}
    failed(node.create(fake_qemu.good()), "E-CONFIG-URL", within=5)
    assert node.is_old()
    assert internet.calls


@pytest.mark.root
def test_an_image_is_still_needed(node: Node) -> None:
    (node.store / "config.json").write_text('{"users": "root"}')
    node.parameters = {"config_url": f"file://{node.store}/config.json"}
    failed(node.create(fake_qemu.good()), "E-PARAMETER", within=5)


@pytest.mark.root
def test_a_new_name_needs_no_config(node: Node, internet: web.Server) -> None:
    node.parameters = {"config_url": "https://config.example.org/none.json"}
    process = node.start(fake_qemu.good(), script="rename", OLD_INSTANCE_NAME="old.example.org")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert b"config_url is not fetched" in output
    assert internet.calls == []


@pytest.mark.root
def test_verify_asks_nobody(node: Node) -> None:
    node.parameters = {"config_url": "https://nowhere.invalid/a.json", "img_id": "https://nowhere.invalid/a"}
    process = node.start([["exit", 1]], script="verify")
    output, _ = process.communicate(timeout=60)
    assert (process.returncode, output) == (0, b"")
    assert os.listdir(node.store) == []
