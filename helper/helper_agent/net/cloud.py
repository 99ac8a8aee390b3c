"""The network through the image's cloud-init, which makes the files of the network system that it finds

In the seed, or where that is on a disk in a file of its own below /etc/cloud: made on the node, that disk knows nothing
of the network.
"""

from __future__ import annotations

import json

from helper_agent.distros import cloud_init
from helper_agent.net import cloud_v1, cloud_v2
from helper_agent.net.state import State
from helper_agent.root import Root

NETPLAN = ("/usr/sbin/netplan", "/usr/bin/netplan")


def give(root: Root, wanted: State, version: str, *, seeded: bool) -> None:
    """Write the network-config `version` (v2 or v1) where cloud-init reads it, and nothing pins it off

    Raises:
        TaskError, OSError
    """
    netplan = any(root.is_file(path) for path in NETPLAN)
    network = cloud_v1.mapping(wanted) if version == "v1" else cloud_v2.mapping(wanted, netplan=netplan)
    if seeded:
        cloud_init.unpin(root, "network")
        root.install(cloud_init.NETWORK, json.dumps(network, indent=1) + "\n", mode=0o600)
    else:
        cloud_init.pin(root, "network", f"network: {json.dumps(network)}")
