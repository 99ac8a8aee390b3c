"""OpenRC (Alpine, Gentoo, Artix): scripts in /etc/init.d, linked into a runlevel's folder"""

from __future__ import annotations

from helper_agent.api import TaskError
from helper_agent.root import Root

NAME = "OpenRC"
SCRIPTS = "/etc/init.d"
RUNLEVELS = "/etc/runlevels"
SCRIPT = """#!/sbin/openrc-run
# Written by ganeti-instance-helper

description="{description}"

depend() {{
	need localmount
	use net
	after *
}}

start() {{
	ebegin "{description}"
	"{path}" && rm -f {runlevels}/*/{name}
	eend $?
}}
"""


def installed(root: Root, service: str) -> bool:
    """See `base.Init`"""
    return root.is_file(f"{SCRIPTS}/{service}")


def is_enabled(root: Root, service: str) -> bool:
    """See `base.Init`"""
    return bool(_links(root, service))


def enable(root: Root, service: str) -> bool:
    """See `base.Init`; in the runlevel `default`"""
    if not installed(root, service):
        raise TaskError(f"The image has no service {service} in {SCRIPTS}", "install it in the image")
    if is_enabled(root, service):
        return False
    root.symlink(f"{SCRIPTS}/{service}", f"{RUNLEVELS}/default/{service}")
    return True


def disable(root: Root, service: str) -> bool:
    """See `base.Init`; in all runlevels"""
    links = _links(root, service)
    for link in links:
        root.remove(link)
    return bool(links)


def install_oneshot(root: Root, name: str, description: str, path: str) -> None:
    """See `base.Init`"""
    words = "".join(each for each in description if each not in '"$`\\')
    text = SCRIPT.format(description=words, path=path, name=name, runlevels=RUNLEVELS)
    root.install(f"{SCRIPTS}/{name}", text, mode=0o755)
    enable(root, name)


def _links(root: Root, service: str) -> list[str]:
    return [path for path in root.glob(f"{RUNLEVELS}/*/{service}") if root.is_symlink(path)]
