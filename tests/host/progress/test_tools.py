"""Our other commands: a bar for whoever calls export by hand, and a check of the monitor that the settings name"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from helper_host.errors import ProviderError
from helper_host.progress import program
from tests import calling
from tests.host.image.cache.server import serving
from tests.host.image.cache.using import Node
from tests.host.progress.pseudo_terminal import Terminal, running

MIB = 1 << 20


@pytest.mark.programs
def test_export_by_hand(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(b"x" * 64 * MIB)
    variables = {**calling.INSTANCE_FACTS, "EXPORT_DEVICE": str(disk), "EXPORT_DISK_PATH": str(disk)}
    variables |= {"EXPORT_INDEX": "0", "EXPORT_DISK_INDEX": "0", "TERM": "xterm"}
    code = f"import sys; sys.path[:0] = {sys.path!r}\nfrom helper_host.commands.main import main; main('export')"

    def start(terminal: int) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-c", code]
        return subprocess.Popen(argv, env=variables, stdin=terminal, stdout=subprocess.DEVNULL, stderr=terminal)

    terminal = Terminal(start)
    assert terminal.wait() == 0, terminal.text
    assert re.search(r"exporting: +\d+%\|.*/64\.0M", terminal.text), terminal.text
    assert [line.split()[1] for line in terminal.lines] == ["exporting", "exported"], "the bar is gone"


def test_a_monitor_is_looked_at_by_check(tmp_path: Path) -> None:
    path = tmp_path / "monitor"
    with pytest.raises(ProviderError, match=r"E-SETTINGS: .*No such file"):
        program.check(str(path))
    path.write_text("#!/bin/sh\n")
    with pytest.raises(ProviderError, match=r"E-SETTINGS: .*is no program"):
        program.check(str(path))
    path.chmod(0o777)
    with pytest.raises(ProviderError, match=r"E-SETTINGS: .*can be written by others"):
        program.check(str(path))
    path.chmod(0o755)
    program.check(str(path))


@pytest.mark.programs
def test_cache_verify_by_hand(tmp_path: Path) -> None:
    node = Node(tmp_path / "cache")
    content = os.urandom(3 * MIB)
    with serving() as server:
        server.files["/image"] = content
        node.get(server.url("/image"))
    (tmp_path / "settings").mkdir()
    (tmp_path / "settings" / "config.toml").write_text(f'cache_folder = "{node.folder}"\n')
    code = f"import sys; sys.path[:0] = {sys.path!r}\nfrom helper_host import paths\n"
    code += f"paths.SETTINGS = {str(tmp_path / 'settings')!r}\n"
    code += "from helper_host.commands.tool import run\nsys.exit(run(['cache', 'verify']))"
    terminal = Terminal(running([sys.executable, "-c", code]))
    assert terminal.wait() == 0, terminal.text
    assert re.search(r"verifying: +\d+%\|.*/3\.00M", terminal.text), terminal.text
    assert terminal.lines == ["1 in order, 3.0 MiB"], "the bar is gone"
