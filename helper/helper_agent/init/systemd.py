"""systemd: units, enabled by the links that their [Install] section asks for (systemd.unit(5))"""

from __future__ import annotations

from collections.abc import Iterator

from helper_agent.api import TaskError
from helper_agent.root import Root

NAME = "systemd"
FOLDER = "/etc/systemd/system"
FOLDERS = (FOLDER, "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
"""Where units are; the first that has one counts."""
SUFFIXES = (".service", ".socket", ".timer", ".target", ".path", ".mount")
ALSO_MAX = 20
UNIT = """# Written by ganeti-instance-helper
[Unit]
Description={description}
Wants=network-online.target
After=network-online.target
ConditionFileIsExecutable={path}

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'exec "$$0"' "{path}"
ExecStartPost=/bin/rm -f {link}
StandardOutput=journal+console
RemainAfterExit=yes

[Install]
WantedBy=multi-user.target
"""
"""By a shell, since SELinux lets systemd itself start only what is labelled as a program; rm by its full path, since
`systemctl` is at another place in each system, and before 244 a path had to be given."""


def installed(root: Root, service: str) -> bool:
    """See `base.Init`"""
    return _file(root, _unit(service)) != ""


def is_enabled(root: Root, service: str) -> bool:
    """See `base.Init`; by a link of its package below /usr too"""
    unit = _unit(service)
    if _masked(root, unit):
        return False
    return bool(_links(root, unit, FOLDERS))


def enable(root: Root, service: str) -> bool:
    """See `base.Init`; a masked one is unmasked"""
    changed = False
    todo = [_unit(service)]
    seen: set[str] = set()
    while todo and len(seen) < ALSO_MAX:
        unit = todo.pop()
        seen.add(unit)
        if _masked(root, unit):
            changed |= root.remove(f"{FOLDER}/{unit}")
        file = _file(root, unit)
        if not file:
            if len(seen) == 1:
                raise TaskError(f"The image has no unit {unit}", "install it in the image")
            continue
        install = list(_install(root.read_text(file)))
        todo += [other for key, other in install if key == "Also" and other not in seen]
        for link in _wanted(unit, install):
            if not root.is_symlink(link):
                root.symlink(file, link)
                changed = True
    return changed


def disable(root: Root, service: str) -> bool:
    """See `base.Init`; one that its package links below /usr is masked, since that link comes back with an update"""
    unit = _unit(service)
    if not is_enabled(root, service):
        return False
    for link in _links(root, unit, (FOLDER,)):
        root.remove(link)
    if _links(root, unit, FOLDERS) and not root.exists(f"{FOLDER}/{unit}"):
        root.symlink("/dev/null", f"{FOLDER}/{unit}")
    return True


def install_oneshot(root: Root, name: str, description: str, path: str) -> None:
    """See `base.Init`"""
    link = f"{FOLDER}/multi-user.target.wants/{name}.service"
    text = UNIT.format(description=description.replace("%", "%%"), path=path.replace("%", "%%"), link=link)
    root.write(f"{FOLDER}/{name}.service", text)
    enable(root, name)


def _unit(service: str) -> str:
    return service if service.endswith(SUFFIXES) else f"{service}.service"


def _file(root: Root, unit: str) -> str:
    """The unit's file, of `foo@bar.service` its template; "" where there is none"""
    head, at, tail = unit.partition("@")
    names = (unit, f"{head}@.{tail.rpartition('.')[2]}") if at else (unit,)
    return next((f"{folder}/{name}" for folder in FOLDERS for name in names if root.is_file(f"{folder}/{name}")), "")


def _masked(root: Root, unit: str) -> bool:
    path = f"{FOLDER}/{unit}"
    return root.is_symlink(path) and root.readlink(path) == "/dev/null"


def _install(text: str) -> Iterator[tuple[str, str]]:
    """Key and word of each line of [Install]"""
    section = ""
    for line in map(str.strip, text.replace("\\\n", " ").split("\n")):
        if line.startswith("["):
            section = line
        elif section == "[Install]" and not line.startswith(("#", ";")):
            key, _, value = line.partition("=")
            for word in value.split():
                if "/" not in word:
                    yield key.strip(), word


def _wanted(unit: str, install: list[tuple[str, str]]) -> Iterator[str]:
    """The links that its [Install] asks for"""
    kinds = {"WantedBy": "wants", "RequiredBy": "requires", "UpheldBy": "upholds"}
    for key, word in install:
        if key in kinds:
            yield f"{FOLDER}/{word}.{kinds[key]}/{unit}"
        elif key == "Alias" and word != unit:
            yield f"{FOLDER}/{word}"


def _links(root: Root, unit: str, folders: tuple[str, ...]) -> list[str]:
    """Links by which the unit is started"""
    found = []
    for folder in folders:
        for kind in ("wants", "requires", "upholds"):
            found += [path for path in root.glob(f"{folder}/*.{kind}/{unit}") if root.is_symlink(path)]
    if FOLDER in folders:
        # other names of it, such as sshd.service for ssh.service
        names = [path for path in root.glob(f"{FOLDER}/*") if root.is_symlink(path) and not path.endswith(f"/{unit}")]
        found += [path for path in names if root.readlink(path).rpartition("/")[2] == unit]
    return found
