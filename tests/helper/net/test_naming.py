from __future__ import annotations

import subprocess

import pytest

from helper_agent.net import naming
from helper_agent.net.state import State
from tests.helper.net import states

DRIVERS = ' DRIVERS=="?*",'
"""What a veth doesn't have, nor a VLAN or a bridge on top of a NIC."""


def test_each_by_its_mac_address() -> None:
    text = naming.rules(State((states.STATIC, states.SPARE), (), ()))[naming.RULES]
    assert text.split("\n", 1)[1] == (
        'SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{address}=="02:00:00:00:00:01", ATTR{type}=="1",'
        ' NAME="nic0"\n'
        'SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{address}=="02:00:00:00:00:02", ATTR{type}=="1",'
        ' NAME="nic1"\n'
    )


def test_before_systemd_and_an_old_installation_give_names() -> None:
    assert naming.RULES.rpartition("/")[2] < "70-persistent-net.rules" < "80-net-setup-link.rules"


@pytest.mark.root
@pytest.mark.parametrize(("drivers", "name"), [("", "nic0"), (DRIVERS, "")])
def test_the_real_udev(drivers: str, name: str) -> None:
    """Debian's udev of systemd; what has no driver is left alone

    In a network namespace only: `udevadm test` says that it runs nothing, but it does rename.
    """
    text = naming.rules(State((states.STATIC, states.SPARE), (), ()))[naming.RULES].replace(DRIVERS, drivers)
    script = f"""set -e
    mount -t sysfs none /sys
    mount -t tmpfs none /run
    mkdir -p /run/udev/rules.d
    ip link add d0 address 02:00:00:00:00:01 type veth peer name d1 address 02:00:00:00:00:07
    cat >/run/udev/rules.d/{naming.RULES.rpartition("/")[2]} <<'EOF'\n{text}EOF
    SYSTEMD_LOG_LEVEL=debug udevadm test --action=add /sys/class/net/d0 2>&1
    """
    done = subprocess.run(
        ["unshare", "--net", "--mount", "sh", "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    assert ("NAME 'nic0'" in done.stdout) is bool(name)
    assert "nvalid" not in "".join(line for line in done.stdout.splitlines() if "ganeti" in line)
