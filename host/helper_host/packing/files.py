"""The files that an instance's OS parameters name, packed for the task `files`"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

from helper_host import trusted
from helper_host.errors import ProviderError
from helper_host.ganeti.file_values import File
from helper_host.ganeti.parameters import Parameters, error
from helper_host.ganeti.parameters.files import FILES
from helper_host.packing.archive import SIZE_MAX, Archive, Given, Member
from helper_host.settings import Settings


def pack(parameters: Parameters, settings: Settings) -> Archive | None:
    """They, or None where none is given

    Raises:
        ProviderError: E-PARAMETER for a file that the node doesn't have, or too much of it; E-SETTINGS
    """
    files = list(parameters.img_personality)
    for name in (f"file{number}" for number in range(FILES)):
        if (one := parameters.values.get(name)) is not None:
            files.append(_filled(one, name, settings.files_folder))
    if not files:
        return None
    if sum(len(one.content) for one in files) > SIZE_MAX:
        raise error("file0", f"and the others are more than {SIZE_MAX >> 20} MiB", "put them into an overlay, or less")
    return Archive([member for one in files for member in _members(one)])


def _filled(one: File, parameter: str, folder: str) -> File:
    if not one.name:
        return one
    path = f"{folder}/{one.name}"
    try:
        trusted.check_way(folder)
        return one._replace(content=trusted.read(path, SIZE_MAX, follow=False), name="")
    except FileNotFoundError:
        raise error(parameter, f"there is no {path} on this node", "put the file there, on all nodes") from None
    except trusted.Untrusted as refused:
        raise ProviderError("E-SETTINGS", f"{path} {refused.why}", refused.remedy) from None


def _members(one: File) -> Iterable[Member]:
    way = posixpath.dirname(one.path)
    if one.folder_mode != 0o755:  # others are made as the path API makes them
        for depth in range(1, len(way.split("/"))):
            folder = "/".join(way.split("/")[: depth + 1])
            yield Member(folder, "folder", one.folder_mode, one.owner, one.group)
    yield Member(one.path, "file", one.mode, one.owner, one.group, len(one.content), Given(one.content))
