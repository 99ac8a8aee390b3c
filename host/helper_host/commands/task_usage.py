"""What one can type after `ganeti-instance-helper task`"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

NAME = "ganeti-instance-helper"
PHASES = ("filesystems", "devices")


def parser() -> argparse.ArgumentParser:
    """Of what follows `ganeti-instance-helper task`; the result has the name of the command as `command`"""
    made = argparse.ArgumentParser(prog=f"{program()} task", description="Write, check and try tasks.")
    commands = made.add_subparsers(title="commands", required=True, metavar="COMMAND")

    new = _command(commands, "new", "write a skeleton and its test", "new org.example.motd")
    new.add_argument("name", metavar="NAME", help="with a domain of yours in front, reversed: org.example.motd")
    new.add_argument("--program", action="store_true", help="a shell program instead of a Python module")
    new.add_argument("--folder", default=".", metavar="DIR", help="where (default: here)")
    new.add_argument("--phase", choices=PHASES, default=PHASES[0], help="default: filesystems")

    lint = _command(commands, "lint", "check tasks without running them", "lint org.example.motd.py")
    lint.add_argument("files", nargs="+", metavar="FILE|FOLDER")
    lint.add_argument("--tasks-folder", metavar="DIR", help="a node's tasks.d, whose tasks will be there too")

    listing = _command(commands, "list", "show all tasks in their order, and why", "list --variant default")
    listing.add_argument("files", nargs="*", metavar="FILE|FOLDER", help="tasks on top of those of this node")
    listing.add_argument("--variant", default="", help="with this variant's settings")
    listing.add_argument("--json", action="store_true", help="for programs")

    show = _command(commands, "show", "print the manual of one task", "show hostname")
    show.add_argument("task", metavar="NAME|FILE")
    show.add_argument("--variant", default="", help="with this variant's settings")
    show.add_argument("--markdown", action="store_true", help="as in the manual")

    text = "run one task: on a folder with an image's tree, or on a copy of an image in a real helper"
    trial = _command(commands, "run", text, "run org.example.motd.py --root tree -o owner=example.org")
    trial.add_argument("file", metavar="FILE")
    where = trial.add_mutually_exclusive_group(required=True)
    where.add_argument("--root", metavar="FOLDER", help="with an image's tree; it is changed")
    where.add_argument("--disk", metavar="IMAGE", help="raw or qcow2, it stays as it is; needs root")
    trial.add_argument("-o", dest="options", action="append", default=[], metavar="NAME=VALUE", help="an option of it")
    trial.add_argument(
        "--name", default="", metavar="INSTANCE", help="name of the instance (default: web1.example.org)"
    )
    trial.add_argument("--verbose", action="store_true", help="show debug lines too")
    disk = trial.add_argument_group("with --disk")
    disk.add_argument("--size", type=size, default=0, metavar="SIZE", help="of the disk: 512m (default: the image's)")
    disk.add_argument("--keep", default="", metavar="OUT.RAW", help="keep the disk here when all went well")
    disk.add_argument("--with-all", action="store_true", help="run all tasks in their order, not this one alone")
    disk.add_argument("--variant", default="", help="with this variant's settings")
    root = trial.add_argument_group("with --root")
    root.add_argument(
        "--distro", default="", metavar="ID", help="take the tree for this system's (default: by os-release)"
    )
    return made


def _command(commands: Any, name: str, text: str, example: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=f"{text[0].upper()}{text[1:]}.", epilog=f"example: {program()} task {example}"
    )
    made.set_defaults(command=name)
    return made


def size(text: str) -> int:
    """Bytes of `4g`; a number alone is MiB, as with Ganeti"""
    units = {"": 20, "m": 20, "g": 30, "t": 40}
    number, unit = (text, "") if text[-1:].isdecimal() else (text[:-1], text[-1:].lower())
    if not number.isdecimal() or unit not in units:
        raise argparse.ArgumentTypeError(f"{text!r} is no size, such as 512m or 4g")
    return int(number) << units[unit]


def program() -> str:
    """This command, as one would type it from here"""
    typed = sys.argv[0]
    if os.path.basename(typed) != NAME:
        return NAME
    import shutil

    near = os.path.relpath(typed)
    return NAME if shutil.which(NAME) == typed else typed if near.startswith("..") else near
