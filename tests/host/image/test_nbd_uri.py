"""URIs of disks: what each form means, what is refused, and that no password is told"""

from __future__ import annotations

import json
import socket
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helper_host.errors import ProviderError
from helper_host.image.nbd.uri import _SCHEMES, SECRET, Volume, parse

VARIABLE = "DISK_0_URI"


def of(uri: str) -> Volume:
    return parse(uri, VARIABLE)


def refusal(uri: str) -> str:
    with pytest.raises(ProviderError) as caught:
        of(uri)
    assert caught.value.code == "E-ENVIRONMENT"
    return str(caught.value)


def inet(host: str, port: str) -> dict[str, str]:
    return {"type": "inet", "host": host, "port": port}


@pytest.mark.parametrize(
    ("uri", "server", "export"),
    [
        ("nbd://storage.example.org/disk-1", inet("storage.example.org", "10809"), "disk-1"),
        ("nbd://192.0.2.1:10810", inet("192.0.2.1", "10810"), ""),
        ("nbd://[2001:db8::1]:1/a%20b/c", inet("2001:db8::1", "1"), "a b/c"),
        ("nbd:192.0.2.1:10810", inet("192.0.2.1", "10810"), ""),
        ("nbd:[2001:db8::1]:10810:exportname=disk 1".replace(" ", "-"), inet("2001:db8::1", "10810"), "disk-1"),
        ("nbd+unix:///disk?socket=/run/nbd.sock", {"type": "unix", "path": "/run/nbd.sock"}, "disk"),
        ("nbd+unix:///?socket=/run/a%2Fb", {"type": "unix", "path": "/run/a/b"}, ""),
        ("nbd:unix:/run/nbd.sock", {"type": "unix", "path": "/run/nbd.sock"}, ""),
        ("nbd:unix:/run/nbd.sock:exportname=disk", {"type": "unix", "path": "/run/nbd.sock"}, "disk"),
    ],
)
def test_nbd(uri: str, server: dict[str, str], export: str) -> None:
    volume = of(uri)
    assert (volume.options["driver"], volume.options["server"], volume.options["export"]) == ("nbd", server, export)
    assert volume.socket == server.get("path", "")


def test_what_ganeti_writes_for_rbd() -> None:
    volume = of("rbd:rbd/9d1c3cf2-8a5f.rbd.disk0")
    assert volume.options == {"driver": "rbd", "pool": "rbd", "image": "9d1c3cf2-8a5f.rbd.disk0"}
    assert volume.shown == "rbd:rbd/9d1c3cf2-8a5f.rbd.disk0" and volume.files == ("/etc/ceph",)


def test_rbd_with_everything() -> None:
    volume = of(
        r"rbd:po\:ol/name\/space/im\@age:id=gan\:eti:conf=/srv/ceph.conf:key=QVFE==:mon_host=a\:3300;[\:\:1]\:1;b"
    )
    assert volume.options == {
        "driver": "rbd",
        "pool": "po:ol",
        "namespace": "name/space",
        "image": "im@age",
        "user": "gan:eti",
        "conf": "/srv/ceph.conf",
        "key-secret": SECRET,
        "server": [{"host": "a", "port": "3300"}, {"host": "::1", "port": "1"}, {"host": "b", "port": "6789"}],
    }
    assert volume.secret == "QVFE==" and "QVFE" not in volume.shown + str(volume.options)
    assert volume.files == ("/etc/ceph", "/srv/ceph.conf")


def test_what_ganeti_writes_for_gluster() -> None:
    options = of("gluster://192.0.2.1:24007/gv0/ganeti/9d1c.0").options
    assert options["server"] == [inet("192.0.2.1", "24007")]
    assert (options["volume"], options["path"]) == ("gv0", "ganeti/9d1c.0")
    assert of("gluster+tcp://h/v/p").options["server"] == [inet("h", "24007")]


def test_iscsi() -> None:
    volume = of("iscsi://user%s3cr3t@192.0.2.1/iqn.2001-05.org.example:storage/3")
    assert volume.options == {
        "driver": "iscsi",
        "transport": "tcp",
        "portal": "192.0.2.1:3260",
        "target": "iqn.2001-05.org.example:storage",
        "lun": 3,
        "user": "user",
        "password-secret": SECRET,
    }
    assert volume.secret == "s3cr3t" and "s3cr3t" not in volume.shown + str(volume.options)


@pytest.mark.parametrize(
    "uri",
    [
        *("", "/etc/passwd", "disk", "-help", "--help", "file:/etc/passwd", "file:///dev/sda", "host_device:/dev/sda"),
        *("json:{}", 'json:{"driver":"file","filename":"/etc/shadow"}', "fat:/etc", "ssh://h/x", "https://h/x"),
        *("vvfat:rw:/etc", "blkdebug::/etc/passwd", "exec:id", "nbd", "rbd", ":"),
        *("nbd:", "nbd:host", "nbd:host:x", "nbd:host:99999", "nbd:unix:relative", "nbd://", "nbd://-host/"),
        *("nbd://user:word@host/", "nbd://host/?socket=/x", "nbd://host/#x", "nbd://host:99999/", "nbd://ho st/"),
        *("nbd://host/a%00b", "nbd://host/a%0ab", "nbd+unix:///x", "nbd+unix:///x?socket=relative"),
        *("nbd+unix:///x?socket=/a&socket=/b", "nbd+unix:///x?socket=/a&tls=1", "nbd+unix://h", "nbds://host/"),
        *("rbd:", "rbd:pool", "rbd:/image", "rbd:pool/", "rbd:a/b/c/d", "rbd:pool/image@snap"),
        *("rbd:pool/image:admin_socket=/x", "rbd:pool/image:conf=relative", "rbd:pool/image:mon_host="),
        *("gluster://host/volume", "gluster://host//", "gluster+unix:///v/p?socket=/x", "gluster://host/v/p?debug=9"),
        *("iscsi://host/target", "iscsi://host/target/x", "iscsi://host/1", "iscsi:x", "iscsi://host/t/1?x=1"),
        *("nbd://host/\n", "rbd:pool/image\0", "nbd://host/" + "x" * 5000),
    ],
)
def test_anything_else_is_refused(uri: str) -> None:
    assert "access=kernelspace" in refusal(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "rbd:pool/image@snap:key=s3cr3t",
        "iscsi://user%s3cr3t@/",
        "nbd://user:s3cr3t@host/",
        "s3cr3t:x/y",
        "weka://s3cr3t@h/",
    ],
)
def test_a_refused_uri_is_not_quoted(uri: str) -> None:
    assert "s3cr3t@" not in refusal(uri) and "=s3cr3t" not in refusal(uri) and ":s3cr3t" not in refusal(uri)


@given(st.sampled_from(sorted(_SCHEMES)), st.text(max_size=60))
def test_any_text_is_taken_or_refused(scheme: str, text: str) -> None:
    for uri in (f"{scheme}:{text}", f"{scheme}://{text}", f"{scheme}://host/{text}"):
        try:
            volume = of(uri)
        except ProviderError as error:
            assert error.code == "E-ENVIRONMENT"
        else:
            assert volume.options["driver"] == scheme.partition("+")[0]
            assert volume.shown.isprintable()


# --- what QEMU says to it ---------------------------------------------------------------------------------------------


class Schema:
    """What QEMU's storage daemon says of its commands' arguments (query-qmp-schema)"""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        argv = ["qemu-storage-daemon", "--chardev", f"socket,id=m,fd={theirs.fileno()}", "--monitor", "chardev=m"]
        with ours, theirs, subprocess.Popen(argv, pass_fds=[theirs.fileno()]) as process, ours.makefile("rw") as lines:
            lines.readline()
            for command in ("qmp_capabilities", "query-qmp-schema"):
                lines.write(json.dumps({"execute": command}) + "\n")
                lines.flush()
                answer = json.loads(lines.readline())
            process.kill()
        self._types = {entry["name"]: entry for entry in answer["return"]}

    def check(self, kind: str, value: Any) -> None:
        """That `value` is of the type"""
        entry = self._types[kind]
        match entry["meta-type"]:
            case "builtin":
                assert {"string": str, "int": int, "boolean": bool}[entry["json-type"]] is type(value)
            case "enum":
                assert value in entry["values"]
            case "array":
                for each in value:
                    self.check(entry["element-type"], each)
            case "alternate":
                assert isinstance(value, dict)
                self.check(next(m["type"] for m in entry["members"] if self._is_object(m["type"])), value)
            case _:
                members = {member["name"]: member for member in self._members(entry, value)}
                assert set(value) <= set(members)
                assert {name for name, member in members.items() if "default" not in member} <= set(value)
                for name, each in value.items():
                    self.check(members[name]["type"], each)

    def _members(self, entry: dict[str, Any], value: dict[str, Any]) -> list[dict[str, Any]]:
        members = list(entry["members"])
        for variant in entry.get("variants", ()):
            if value.get(entry["tag"]) == variant["case"]:
                members += self._members(self._types[variant["type"]], value)
        return members

    def _is_object(self, kind: str) -> bool:
        return bool(self._types[kind]["meta-type"] == "object")

    def argument(self, command: str) -> str:
        """The type of a command's arguments"""
        return str(self._types[command]["arg-type"])


@pytest.mark.programs
def test_qemu_knows_every_option() -> None:
    schema = Schema()
    for uri in (
        *("nbd://h/e", "nbd+unix:///e?socket=/s", "rbd:p/i", r"rbd:p/n/i:id=u:conf=/c:key=k:mon_host=a\:1,b"),
        *("gluster://h/v/p", "iscsi://h/t/1", "iscsi://u%p@h/t/1"),
    ):
        volume = of(uri)
        common = {"read-only": False, "discard": "unmap", "cache": {"direct": False}}
        disk = {"driver": "raw", "node-name": "disk", "file": {**volume.options, **common}, **common}
        schema.check(schema.argument("blockdev-add"), disk)
