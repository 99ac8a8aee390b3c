"""The plan of a customisation: everything together, from parameters, settings, properties and description to the job"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from helper_agent import declaration, outside, registry
from helper_agent.job import decode_job, encode_job
from helper_host import customisation, helper_image, job, settings
from helper_host.customisation import Customisation
from helper_host.errors import ProviderError
from helper_host.ganeti import environment, parameters
from helper_host.job import Made
from helper_host.log import Log
from helper_host.request import CREATE, RENAME, Request
from tests import calling
from tests.host.manifests import manifest

MOTD = '''"""Say what this machine is"""
from helper_agent.api import Context, Option, Task

TASK = Task(name="org.example.motd", phase="filesystems", after=("hostname",), api=1, options=(
    Option("owner", "str", "Domain", "example.org"),
    Option("users", "list", "whom to greet"),
    Option("token", "str", "what to show", secret=True),
))

def run(context: Context) -> None:
    context.root.write("/etc/motd", context.options.text("owner"))
'''
SCRIPT = b"#!/bin/bash\necho hello\n"


def properties(**given: object) -> str:
    return json.dumps(given)


class Bench:
    """Settings, a helper image's manifest, an image and what was logged"""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.helper = folder / "helper"
        self.helper.mkdir()
        files = dict.fromkeys(("vmlinuz", "initrd.img", "root.erofs"), b"")
        for name in files:
            (self.helper / name).touch()
        (self.helper / "manifest.json").write_text(json.dumps(manifest(files)))
        (folder / "tasks.d").mkdir()
        self.image = folder / "debian-12.qcow2"
        self.size = 1 << 30
        self.variables: dict[str, str] = {}
        self.only: tuple[str, ...] = ()
        self._log = io.StringIO()

    def put(self, path: str, text: str) -> None:
        """A file of root's"""
        (self.folder / path).parent.mkdir(exist_ok=True)
        (self.folder / path).write_text(text)
        (self.folder / path).chmod(0o644)

    def request(self, action: str, given: Mapping[str, str]) -> Request:
        rows = f'helper_image = "{self.helper}"\ntasks_folder = "{self.folder}/tasks.d"\n'
        config = self.folder / "config.toml"
        text = config.read_text() if config.exists() else ""
        if rows not in text:
            self.put("config.toml", rows + text)
        loaded = settings.load("big", str(self.folder))
        environ = calling.environment(calling.Disk("/disk", self.size), **given) | self.variables
        return Request(
            action,
            environment.read(environ),
            parameters.parse(environ, loaded.parameters),
            loaded,
            Log(stream=self._log, verbose=True),
            0.0,
            variables=environ,
            only_tasks=self.only,
        )

    def plan(self, action: str = CREATE, **given: str) -> Customisation:
        request = self.request(action, given)
        planned = customisation.prepare(request, str(self.image) if action == CREATE else None)
        assert planned is not None
        return planned

    def job(self, action: str = CREATE, **given: str) -> Made:
        return job.make(self.request(action, given), self.plan(action, **given), "nonce")

    def options(self, action: str = CREATE, **given: str) -> Mapping[str, Mapping[str, Any]]:
        # making those takes most of the time
        return self.job(action, **{"skip_tasks": "host-keys", **given}).job.options

    @property
    def log(self) -> str:
        return self._log.getvalue()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def motd(bench: Bench) -> Bench:
    bench.put("tasks.d/org.example.motd.py", MOTD)
    return bench


def refusal(bench: Bench, code: str, action: str = CREATE, **given: str) -> str:
    with pytest.raises(ProviderError) as caught:
        bench.plan(action, **given)
    assert caught.value.code == code, str(caught.value)
    return str(caught.value)


# --- tasks ------------------------------------------------------------------------------------------------------------


def test_without_anything_of_ones_own(bench: Bench) -> None:
    made = bench.job()
    assert (made.job.tasks, made.payloads) == ((), {})
    assert "hostname" in bench.plan().wanted
    assert list(made.job.options) == ["host-keys"]
    assert made.fingerprints
    assert (made.job.image_description, made.job.image_tasks, made.job.properties) == (True, False, {})


def test_a_task_goes_with_the_job(motd: Bench) -> None:
    made = motd.job(custom_task=base64.b64encode(SCRIPT).decode())
    assert made.payloads == {"TASK0000.BIN": MOTD.encode(), "TASK0001.BIN": SCRIPT}
    first, second = made.job.tasks
    assert (first.payload, first.kind, first.heading) == ("TASK0000.BIN", "python", "Say what this machine is")
    assert first.source == f"{motd.folder}/tasks.d/org.example.motd.py"
    assert declaration.from_plain(first.task).name == "org.example.motd"
    assert (second.payload, second.kind) == ("TASK0001.BIN", "program")
    assert decode_job(encode_job(made.job)) == made.job
    assert SCRIPT.decode() not in motd.log


def test_tasks_of_another_action_are_not_run(motd: Bench) -> None:
    assert motd.plan(RENAME).wanted == ("unlock", "hostname")
    assert not motd.plan(RENAME).idle
    assert motd.plan(RENAME, skip_tasks="hostname").idle
    assert not motd.plan(RENAME, skip_tasks="hostname", luks_key="open sesame").idle
    assert (
        motd.job(RENAME, custom_task=base64.b64encode(SCRIPT).decode()).job.tasks[0].task["name"] == "org.example.motd"
    )


def test_a_task_that_takes_long_makes_the_run_longer(bench: Bench) -> None:
    assert bench.plan().more_seconds == 0
    bench.put("tasks.d/org.example.motd.py", MOTD.replace("api=1", "api=1, timeout=1000"))
    assert bench.plan().more_seconds == 700
    assert bench.plan(skip_tasks="org.example.motd").more_seconds == 0
    patient = b'#!/bin/sh\n# /// task\n# api = 1\n# heading = "x"\n# timeout = 86400\n# ///\n'
    assert bench.plan(custom_task=base64.b64encode(patient).decode()).more_seconds == 700, "a user's is no reason"


def test_only_some(motd: Bench) -> None:
    motd.only = ("org.example.motd",)
    assert motd.plan().wanted == ("org.example.motd",)
    assert motd.job().job.only_tasks == ("org.example.motd",)
    assert motd.options(hostname="web") == {}
    assert motd.plan(RENAME).wanted == ("org.example.motd",), "who names it means it"
    motd.only = ("org.example.mot",)
    assert "did you mean org.example.motd?" in refusal(motd, "E-TASKS")


def test_a_task_to_skip_must_be_there(motd: Bench) -> None:
    assert motd.job(skip_tasks="org.example.motd").job.skip_tasks == ("org.example.motd",)
    message = refusal(motd, "E-PARAMETER", skip_tasks="org.example.mot")
    assert "OS parameter 'skip_tasks': there is no task 'org.example.mot'; did you mean org.example.motd?" in message


def test_a_broken_task_ends_it(bench: Bench) -> None:
    bench.put("tasks.d/org.example.motd.py", "x = (")
    assert "org.example.motd.py is not Python" in refusal(bench, "E-TASKS")


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"skip_tasks": "host-keys org.example.motd"},
        {"task_options": "org.example.motd.owner=x", "task_secrets": "org.example.motd.token=x", "users": "me"},
        {"img_properties": properties(EXCLUDE_MOUNTED_TASKS="yes", CUSTOM_TASK=base64.b64encode(SCRIPT).decode())},
        {"hostname": "web", "swap": "partition:64", "password": "x", "dns_servers": "192.0.2.1"},
    ],
    ids=str,
)
@pytest.mark.parametrize("action", [CREATE, RENAME])
@pytest.mark.parametrize("only", [(), ("org.example.motd", "hostname")])
def test_the_agent_runs_what_was_planned(
    motd: Bench, given: Mapping[str, str], action: str, only: tuple[str, ...]
) -> None:
    """Both ends choose, put into order and check the options for themselves"""
    motd.only = only
    motd.put("debian-12.qcow2.toml", 'format = 1\nusers = ["debian"]\nskip_tasks = ["hostname"]\n')
    made = motd.job(action, **given)
    files = {name: content for name, content in made.payloads.items() if isinstance(content, bytes)}
    known = registry.ordered([*registry.load(), *outside.from_job(made.job.tasks, files)])
    run = tuple(entry.task.name for entry in registry.chosen(known, decode_job(encode_job(made.job))))
    assert run == motd.plan(action, **given).wanted


# --- options ----------------------------------------------------------------------------------------------------------


def test_the_order_of_precedence(motd: Bench) -> None:
    """Each layer laid over those below, which stay where they are"""
    name = "org.example.motd"

    def owner(**given: str) -> object:
        return motd.options(**given).get(name, {}).get("owner")

    assert owner() is None, "the agent knows the declared default, and what is in the image"
    motd.put("debian-12.qcow2.toml", f'format = 1\n[options."{name}"]\nowner = "description"\n')
    assert owner() == "description"
    assert owner(image_description="no") is None
    motd.put("config.toml", f'[tasks."{name}"]\nowner = "config"\n')
    assert owner() == "config"
    motd.put("variants/big.toml", f'[tasks."{name}"]\nowner = "variant"\n')
    assert owner() == "variant"
    motd.put(
        "variants/big.toml", f'[tasks."{name}"]\nowner = "variant"\n[parameters]\ntask_options="{name}.owner=default"'
    )
    assert owner() == "default"
    assert owner(task_options=f"{name}.owner=user") == "user"


def test_users_reach_all_who_ask_for_them(motd: Bench) -> None:
    name = "org.example.motd"
    motd.put("debian-12.qcow2.toml", 'format = 1\nusers = ["debian"]\n')
    assert motd.options()[name]["users"] == ["debian"]
    assert motd.options(inst_properties=properties(USERS="them"))[name]["users"] == ["them"]
    found = motd.options(inst_properties=properties(USERS="them"), users="me", ssh_keys=calling.KEY)
    assert found[name]["users"] == ["me"]
    assert found["ssh-keys"] == {"users": ["me"], "keys": [calling.KEY]}


def test_host_keys_that_somebody_gives_are_not_made(bench: Bench) -> None:
    text = "host-keys.private_keys='-----BEGIN'"
    made = bench.job(task_secrets=text)
    assert made.job.options["host-keys"] == {"private_keys": ["-----BEGIN"]}
    assert made.fingerprints == ()


def test_a_default_of_the_settings_gives_way(bench: Bench) -> None:
    bench.put("config.toml", '[parameters]\nhostname = "config"\n')
    assert bench.options()["hostname"] == {"name": "config"}
    assert bench.options(task_options="hostname.name=user")["hostname"] == {"name": "user"}
    assert bench.options(RENAME, hostname="user")["hostname"] == {"name": "user"}


def test_a_secret_is_in_the_job_and_nowhere_else(motd: Bench) -> None:
    text = "org.example.motd.token='canary secret'"
    assert motd.options(task_secrets=text)["org.example.motd"] == {"token": "canary secret"}
    assert "canary" not in motd.log
    assert "canary" not in repr(motd.plan(task_secrets=text))
    assert "canary" not in repr(motd.request(CREATE, {"task_secrets": text}).parameters)
    assert motd.options(task_options=text)["org.example.motd"] == {"token": "canary secret"}
    assert "org.example.motd.token is a secret: give it in task_secrets" in motd.log
    assert "canary" not in motd.log


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        ({"task_options": "org.example.motd.lines=1"}, "E-PARAMETER", "it has: owner, users, token"),
        ({"task_secrets": "org.example.mot.canary=1"}, "E-PARAMETER", "(word 1)"),
        ({"task_options": "hostname.name=a", "hostname": "b"}, "E-PARAMETER", "give one of them"),
    ],
)
def test_options_that_do_not_fit(motd: Bench, given: Mapping[str, str], code: str, words: str) -> None:
    message = refusal(motd, code, **given)
    assert words in message
    assert "canary" not in message


def test_settings_for_a_task_that_is_not_there(bench: Bench) -> None:
    bench.put("config.toml", '[tasks."org.example.motd"]\nowner = "x"\n')
    message = refusal(bench, "E-SETTINGS")
    assert f"{bench.folder}/config.toml" in message


# --- the description beside the image ---------------------------------------------------------------------------------


def test_a_description_fills_what_nobody_says(bench: Bench) -> None:
    text = 'format = 1\nos_family = "linux"\nskip_tasks = ["host-keys", "nonsense"]\nimage_tasks = true\n'
    bench.put("debian-12.qcow2.toml", text)
    bench.put("config.toml", "image_tasks = true\n")
    made = bench.job().job
    assert (made.os_family, made.skip_tasks) == ("linux", ("host-keys",))
    assert made.properties == {"ALLOW_MOUNTED_TASK_OVERWRITING": "yes"}
    assert made.image_tasks
    assert "skips the task 'nonsense', which is not there" in bench.log
    assert "left out by the image's description: host-keys" in bench.log
    made = bench.job(image_description="no").job
    assert (made.os_family, made.skip_tasks, made.properties, made.image_description) == ("", (), {}, False)


def test_what_the_node_has_set_up_is_not_left_out_silently(motd: Bench) -> None:
    motd.put("debian-12.qcow2.toml", 'format = 1\nskip_tasks = ["org.example.motd", "hostname", "machine-id"]\n')
    motd.put("config.toml", '[tasks.hostname]\nname = "x.example.org"\n')
    motd.job()
    for name in ("org.example.motd", "hostname"):
        assert f"The image's description leaves out {name}, which this node has set up" in motd.log
    assert "leaves out machine-id" not in motd.log


def test_a_disk_that_is_too_small_for_the_description(bench: Bench) -> None:
    bench.put("debian-12.qcow2.toml", 'format = 1\nmin_disk = "2g"\n')
    assert "wants 2048" in refusal(bench, "E-DISK-SMALL")
    bench.plan(image_description="no")
    bench.size = 2 << 30
    bench.plan()


# --- snf-image --------------------------------------------------------------------------------------------------------


def test_properties_give_what_no_parameter_does(bench: Bench) -> None:
    given = properties(OSFAMILY="linux", ROOT_PARTITION="1", USERS="root", DESCRIPTION="Debian")
    made = bench.job(img_properties=given).job
    assert (made.os_family, made.root_partition) == ("linux", "1")
    assert made.properties == {"OSFAMILY": "linux", "ROOT_PARTITION": "1", "USERS": "root", "DESCRIPTION": "Debian"}
    assert bench.log.count("nothing here acts on: DESCRIPTION") == 1
    assert bench.job(img_properties=given, root_partition="2").job.root_partition == "2"


def test_excluded_tasks(bench: Bench) -> None:
    made = bench.job(img_properties=properties(EXCLUDE_TASK_DeleteSSHKeys="yes", EXCLUDE_TASK_AddSwap="no")).job
    assert made.skip_tasks == ("host-keys",)
    planned = bench.plan(img_properties=properties(EXCLUDE_MOUNTED_TASKS="yes"))
    assert {planned.tasks.find(name).phase for name in planned.wanted} == {"devices"}  # type: ignore[union-attr]
    assert {"swap-partition", "grow-partition", "grow-filesystem"} <= set(planned.wanted)


def test_a_custom_task_in_the_properties(bench: Bench) -> None:
    text = base64.b64encode(SCRIPT).decode()
    made = bench.job(inst_properties=properties(CUSTOM_TASK=text))
    assert made.payloads == {"TASK0000.BIN": SCRIPT}
    assert text not in bench.log
    assert "give one of them" in refusal(
        bench, "E-PARAMETER", inst_properties=properties(CUSTOM_TASK=text), custom_task=text
    )


def test_the_images_own_programs_only_where_the_settings_allow_them(bench: Bench) -> None:
    given = properties(ALLOW_MOUNTED_TASK_OVERWRITING="yes")
    assert not bench.job(img_properties=given).job.image_tasks, "the agent says so"
    bench.put("config.toml", "image_tasks = true\n")
    made = bench.job(img_properties=given).job
    assert made.image_tasks and made.properties["ALLOW_MOUNTED_TASK_OVERWRITING"] == "yes"


# --- variables --------------------------------------------------------------------------------------------------------


def test_only_ganetis_own_variables_reach_the_helper(bench: Bench) -> None:
    bench.variables = {
        "OSP_X": "canary",
        "DISK_0_NAME": "x",
        "INSTANCE_HV_acpi": "True",
        "NIC_0_X": "a\nb",
        "HOME": "/",
    }
    found = bench.job(password="canary").job.variables
    assert found["INSTANCE_NAME"] == calling.INSTANCE
    assert found["INSTANCE_HV_acpi"] == "True"
    assert found["HYPERVISOR"] == "kvm"
    assert found["NIC_0_NETWORK_SUBNET"] == "10.77.0.0/24"
    assert all(name.startswith(("INSTANCE_", "NIC_")) or name == "HYPERVISOR" for name in found)
    assert "NIC_0_X" not in found
    assert "canary" not in str(found)


# --- contents and disks -----------------------------------------------------------------------------------------------

JOIN = MOTD.replace('Option("token", "str"', 'Option("token", "bytes"')


def test_bytes_are_files_of_the_config_drive(bench: Bench) -> None:
    bench.put("tasks.d/org.example.motd.py", JOIN)
    secret = f"org.example.motd.token={base64.b64encode(b'canary').decode()}"
    made = bench.job(task_secrets=secret, file0="/etc/motd=canary")
    names = {f"{each.task}.{each.option}": each.payload for each in made.job.contents}
    assert names.keys() == {"files.archive", "org.example.motd.token"}
    assert made.payloads[names["org.example.motd.token"]] == b"canary"
    assert "canary" not in str(made.job) + bench.log
    assert decode_job(encode_job(made.job)) == made.job


def test_bytes_in_the_settings_are_base64(bench: Bench) -> None:
    bench.put("tasks.d/org.example.motd.py", JOIN)
    bench.put("config.toml", '[tasks."org.example.motd"]\ntoken = "AP8="\n')
    (content,) = (made := bench.job()).job.contents
    assert made.payloads[content.payload] == b"\0\xff"
    bench.put("config.toml", '[tasks."org.example.motd"]\ntoken = "no base64!"\n')
    assert "is no base64" in refusal(bench, "E-SETTINGS")


@pytest.mark.parametrize(
    "given", [{"data_disks": "1:/srv"}, {"swap": "disk:1"}, {"img_properties": properties(SWAP="b")}]
)
def test_a_disk_that_the_instance_does_not_have(bench: Bench, given: dict[str, str]) -> None:
    assert "means disk 1, which the instance doesn't have" in refusal(bench, "E-PARAMETER", **given)
    assert bench.plan(RENAME, **given)


@pytest.mark.parametrize(
    ("given", "variables", "words"),
    [
        ({"swap": "disk:1", "data_disks": "1:/srv"}, {}, "'swap': means disk 1, as data_disks does"),
        ({"swap": "file:1024"}, {}, "'swap': means 1024 MiB, and the whole disk has 1024"),
        (
            {"img_properties": properties(SWAP="c")},
            {},
            "'img_properties': has a SWAP that means disk 2, which",
        ),
        ({"data_disks": "2:/srv"}, {}, "(it has 0, 1)"),
        ({"cloud_seed": "disk:1", "data_disks": "1:/srv"}, {}, "'cloud_seed': 'disk:1', which data_disks takes"),
        ({"cloud_seed": "disk", "swap": "disk:1"}, {}, "'cloud_seed': 'disk' means disk 1, which swap takes"),
        ({"cloud_seed": "disk:2"}, {}, "'cloud_seed': 'disk:2' means disk 2, which the instance doesn't have"),
        ({"cloud_init": "no"}, {}, "'cloud_init': 'no' contradicts user_data"),
        ({"file0": "/etc/canary=a", "file1": "/etc//canary=b"}, {}, "'file1': has the same path as file0"),
        ({"nic0": "static"}, {"NIC_0_IP": ""}, "nic0 is to be static, but Ganeti's NIC has no IP"),
        ({"nic0": "dhcp gateway=10.0.0.1"}, {}, "nic0 has a gateway for IPv4, but no fixed address"),
        ({"task_options": "network.nic0=static"}, {"NIC_0_NETWORK_SUBNET": ""}, "and no Ganeti network"),
    ],
)
def test_what_does_not_fit_the_instance(
    bench: Bench, given: dict[str, str], variables: dict[str, str], words: str
) -> None:
    """Found by the node before anything is written, not by a task in the helper"""
    second = {"DISK_COUNT": "2", "DISK_1_PATH": "/disk1", "DISK_1_ACCESS": "rw", "DISK_1_SIZE": "512"}
    bench.variables = {**second, **variables}
    if "cloud_seed" in given or "cloud_init" in given:
        given = {**given, "user_data": "#cloud-config"}
    message = refusal(bench, "E-PARAMETER", **given)
    assert words in message
    assert "canary" not in message


@pytest.mark.parametrize(
    "given",
    [
        {"cloud_seed": "disk", "data_disks": "1:/srv"},
        {"cloud_seed": "partition", "data_disks": "1:/srv", "user_data": "#cloud-config"},
        {"nic0": "static", "skip_tasks": "network"},
        {"nic0": "192.0.2.7/24"},
    ],
)
def test_what_fits_the_instance(bench: Bench, given: dict[str, str]) -> None:
    bench.variables = {"DISK_COUNT": "2", "DISK_1_PATH": "/disk1", "DISK_1_ACCESS": "rw", "DISK_1_SIZE": "512"}
    bench.variables["NIC_0_IP"] = ""
    assert bench.plan(**given)


def test_user_data_of_all_is_no_contradiction(bench: Bench) -> None:
    bench.put("config.toml", "[parameters]\nvendor_data = '#cloud-config'\n")
    assert bench.plan(cloud_init="no")


def test_check_looks_for_overlays_of_the_settings(bench: Bench) -> None:
    bench.put("config.toml", "[parameters]\noverlay = 'base'\n")
    request = bench.request(CREATE, {})
    with pytest.raises(ProviderError) as caught:
        customisation.check(request.settings, helper_image.load(request.settings.helper_image))
    assert caught.value.code == "E-SETTINGS"
    assert "'overlay'" in str(caught.value)


def test_snf_images_swap(bench: Bench) -> None:
    options = bench.options(img_properties=properties(SWAP="2:512"))
    assert options["swap-partition"]["size_mib"] == 512
    assert options["swap-partition"]["number"] == 2
    assert options["swap"] == {"partition_uuid": options["swap-partition"]["uuid"]}
    assert bench.options(img_properties=properties(SWAP="2:512"), swap="file:1")["swap"] == {"file_mib": 1}
    for value in ("a", "2:", "512"):
        with pytest.raises(ProviderError, match="SWAP"):
            bench.plan(img_properties=properties(SWAP=value))


def test_swap_as_large_as_the_memory(bench: Bench) -> None:
    bench.variables["INSTANCE_BE_maxmem"] = "768"
    assert bench.options(swap="file:memory")["swap"] == {"file_mib": 768}
