"""Slackware's BSD-like scripts: /etc/rc.d/rc.SERVICE is started if it is executable"""

from __future__ import annotations

import stat

from helper_agent.api import TaskError
from helper_agent.root import Root

NAME = "Slackware's rc scripts"
FOLDER = "/etc/rc.d"
LOCAL = f"{FOLDER}/rc.local"
LOCAL_HEAD = "#!/bin/bash\n"
EXECUTABLE = 0o111
SCRIPT = """#!/bin/sh
# Written by ganeti-instance-helper: {description}
"{path}" && chmod a-x {script}
"""


def installed(root: Root, service: str) -> bool:
    """See `base.Init`"""
    return root.is_file(f"{FOLDER}/rc.{service}")


def is_enabled(root: Root, service: str) -> bool:
    """See `base.Init`"""
    return installed(root, service) and bool(root.stat(f"{FOLDER}/rc.{service}").st_mode & stat.S_IXUSR)


def enable(root: Root, service: str) -> bool:
    """See `base.Init`"""
    if not installed(root, service):
        raise TaskError(f"The image has no service {FOLDER}/rc.{service}", "install it in the image")
    return _set(root, service, executable=True)


def disable(root: Root, service: str) -> bool:
    """See `base.Init`"""
    return installed(root, service) and _set(root, service, executable=False)


def install_oneshot(root: Root, name: str, description: str, path: str) -> None:
    """See `base.Init`; started by rc.local, the last of all scripts"""
    script = f"{FOLDER}/rc.{name}"
    root.install(script, SCRIPT.format(description=" ".join(description.split()), path=path, script=script), mode=0o755)
    line = f"if [ -x {script} ]; then {script} start; fi"
    root.edit(LOCAL, lambda text: text if line in text.split("\n") else f"{_whole(text)}{line}\n")
    _set(root, "local", executable=True)


def _whole(text: str) -> str:
    """The text with a last newline, of an empty file its first line"""
    return (text if text.endswith("\n") else f"{text}\n") if text else LOCAL_HEAD


def _set(root: Root, service: str, *, executable: bool) -> bool:
    path = f"{FOLDER}/rc.{service}"
    before = stat.S_IMODE(root.stat(path).st_mode)
    after = before | EXECUTABLE if executable else before & ~EXECUTABLE
    if after != before:
        # not chmod, which would do it to another name of the file too
        root.write(path, root.read(path), mode=after)
    return after != before
