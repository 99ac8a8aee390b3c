"""Give new files the labels of the image's SELinux policy

Files that were replaced have kept theirs; this is about names that were not there before. Where a task could write past
the path API, the folders in which people configure things are searched for names without a label. Where the image has
no policy for files, or was never labelled, the system is asked to label all of itself at its first boot
(/.autorelabel). It is the last task of all, and nothing is done where SELinux is disabled.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable

from helper_agent.api import Context, Skip, Task, TaskError
from helper_agent.root import Root

TASK = Task(name="selinux", phase="filesystems")

CONFIG = "/etc/selinux/config"
LABEL = "security.selinux"
RELABEL = "/.autorelabel"
SEARCHED = ("/etc", "/boot", "/root", "/home", "/opt", "/srv", "/usr/local", "/var/lib")
SEARCHED_MAX = 30_000
"""Names."""
CONTEXTS_MAX = 8 << 20
"""Bytes of a file of contexts; Fedora's has half a MiB."""


def run(context: Context) -> None:
    """Label what was made, or leave a note that all has to be labelled"""
    root = context.root
    if not root.is_file(CONFIG):
        raise Skip("the image has no SELinux")
    # late: most images don't get here
    from helper_agent.selinux import config

    policy = config.policy(root)
    if not policy:
        raise Skip("SELinux is disabled in the image")
    names = [*root.made, *(_searched(root) if root.opaque else ())]
    if not names:
        raise Skip("nothing was made")
    problem = _label(context, names, f"/etc/selinux/{policy}/contexts/files")
    if problem:
        root.write(RELABEL, "")
        context.log.warning(f"{problem}: the system will label itself at its first boot, which takes time")


def _label(context: Context, names: list[str], folder: str) -> str:
    """Why not all of them could be labelled; "" if they were"""
    from re import error as bad_line

    from helper_agent.selinux.contexts import Contexts

    root = context.root
    if root.attribute("/etc", LABEL) is None:
        return "The image was never labelled"
    if len(names) > SEARCHED_MAX:
        return "There are too many files to be labelled here"
    files = [f"{folder}/file_contexts{end}" for end in ("", ".homedirs", ".local")]
    texts = [root.read_text_or(path, limit=CONTEXTS_MAX) for path in files]
    if not texts[0]:
        return f"The image has no {files[0]}"
    paths = {path: root.real_path(path) for path in dict.fromkeys(names) if _exists(root, path)}
    local, distribution = (root.read_text_or(f"{folder}/file_contexts{end}") for end in (".subs", ".subs_dist"))
    contexts = Contexts(texts, local=local, distribution=distribution, wanted=paths.values())
    count = 0
    for path, real in paths.items():
        try:
            label = contexts.find(real, root.lstat(path).st_mode)
        except bad_line as error:
            return f"The image's policy has a line that is not understood here ({error})"
        if label and root.attribute(path, LABEL) is None:
            count += _set(root, path, label)
    context.log.info(f"{count} {'name' if count == 1 else 'names'} labelled")
    return ""


def _exists(root: Root, path: str) -> bool:
    return root.exists(path) or root.is_symlink(path)


def _set(root: Root, path: str, label: str) -> bool:
    try:
        # with its NUL, as setfilecon(3) writes it
        return root.set_attribute(path, LABEL, label.encode() + b"\0")
    except TaskError:
        return False  # a device, a FIFO
    except OSError as error:
        if error.errno != errno.ENOTSUP:  # the ESP
            raise
        return False


def _searched(root: Root) -> Iterable[str]:
    for folder in SEARCHED:
        if not root.is_dir(folder) or root.is_symlink(folder):
            continue
        for number, path in enumerate(root.walk(folder)):
            if number > SEARCHED_MAX:
                break
            yield path
