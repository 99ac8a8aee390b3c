"""runit (Void, Artix, Devuan): folders with a program `run`, linked into the runlevel's folder"""

from __future__ import annotations

from helper_agent.api import TaskError
from helper_agent.root import Root

NAME = "runit"
SERVICES = ("/etc/sv", "/etc/runit/sv")
"""Where services are: Void and Devuan, Artix."""
RUNNING = ("/etc/runit/runsvdir/default", "/etc/service")
"""Where those that start at boot are linked: Void and Artix, Devuan."""
RUN = """#!/bin/sh
# Written by ganeti-instance-helper: {description}
exec 2>&1
"{path}" && rm -f {running}/{name}
# runit would start it again at once
exec sv down {service}
"""


def installed(root: Root, service: str) -> bool:
    """See `base.Init`"""
    return bool(_service(root, service))


def is_enabled(root: Root, service: str) -> bool:
    """See `base.Init`; a file `down` in its folder keeps it from starting"""
    return root.is_symlink(_link(root, service)) and not root.exists(f"{_service(root, service)}/down")


def enable(root: Root, service: str) -> bool:
    """See `base.Init`"""
    folder = _service(root, service)
    if not folder:
        raise TaskError(f"The image has no service {service} in {' or '.join(SERVICES)}", "install it in the image")
    if is_enabled(root, service):
        return False
    root.remove(f"{folder}/down")
    root.symlink(folder, _link(root, service))
    return True


def disable(root: Root, service: str) -> bool:
    """See `base.Init`"""
    return root.remove(_link(root, service))


def install_oneshot(root: Root, name: str, description: str, path: str) -> None:
    """See `base.Init`; the network's services run beside it, so the program may have to wait for them"""
    base = next((folder for folder in SERVICES if root.is_dir(folder)), SERVICES[0])
    running = _link(root, name).rpartition("/")[0]
    words = " ".join(description.split())
    text = RUN.format(description=words, path=path, name=name, running=running, service=f"{base}/{name}")
    root.install(f"{base}/{name}/run", text, mode=0o755)
    enable(root, name)


def _service(root: Root, service: str) -> str:
    """Its folder, "" where there is none"""
    return next((f"{base}/{service}" for base in SERVICES if root.is_dir(f"{base}/{service}")), "")


def _link(root: Root, service: str) -> str:
    return f"{next((folder for folder in RUNNING if root.is_dir(folder)), RUNNING[0])}/{service}"
