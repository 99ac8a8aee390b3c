"""Let the image's Zabbix agent join our server

The agent announces itself at the first boot (autoregistration), under the instance's name and with the groups as its
metadata. With a key, agent and server know each other by it (PSK). The instance is worth having without monitoring, so
a failure here is a warning.
"""

from __future__ import annotations

from helper_agent.api import Context, Option, Skip, Task, TaskError

TASK = Task(
    name="org.example.monitoring",
    phase="filesystems",
    after=("hostname",),
    options=(
        Option("servers", "list", "Zabbix servers that the agent reports to", ["zabbix.example.org"]),
        Option("groups", "list", "what the machine is, for the server's autoregistration rules", ["linux"]),
        Option("psk", "str", "pre-shared key, 32 hex digits at least", secret=True),
    ),
    optional=True,
    api=1,
)

AGENTS = {"zabbix-agent2": "/etc/zabbix/zabbix_agent2.conf", "zabbix-agent": "/etc/zabbix/zabbix_agentd.conf"}
"""Service -> its configuration; the first that the image has is set up."""
KEY_FILE = "/etc/zabbix/agent.psk"
UNITS = "/usr/lib/systemd/system"


def run(context: Context) -> None:
    """Configure the agent, start it at boot"""
    root, options = context.root, context.options
    service = next((name for name, path in AGENTS.items() if root.is_file(path)), "")
    if not service:
        raise Skip("the image has no Zabbix agent")
    servers = ",".join(options.items("servers"))
    settings = {
        "Server": servers,
        "ServerActive": servers,
        "Hostname": context.instance.name,
        "HostMetadata": " ".join((*options.items("groups"), context.distro.id)),
    }
    if key := options.text("psk"):
        settings |= _encryption(context, key)
    for name, value in settings.items():
        root.set_key(AGENTS[service], name, value)
    root.symlink(f"{UNITS}/{service}.service", f"/etc/systemd/system/multi-user.target.wants/{service}.service")
    context.log.info(f"{service} reports to {servers}")


def _encryption(context: Context, key: str) -> dict[str, str]:
    """The key in a file that only root and the agent can read, and the settings that name it"""
    if len(key) < 32 or not all(digit in "0123456789abcdefABCDEF" for digit in key):
        raise TaskError(
            "The key is not made of 32 hex digits or more", "make one: openssl rand -hex 32", code="E-OPTION"
        )
    context.root.install(KEY_FILE, f"{key}\n", owner="root", group="zabbix", mode=0o640)
    return {
        "TLSConnect": "psk",
        "TLSAccept": "psk",
        "TLSPSKIdentity": context.instance.name,
        "TLSPSKFile": KEY_FILE,
    }
