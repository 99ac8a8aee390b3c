"""The console's expect and run, against a socket that plays an instance"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vm.console import Answer, Console


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[tuple[Console, socket.socket]]:
    """A console, and the machine's end of it"""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "serial"))
        listener.listen()
        console = Console(tmp_path / "serial", tmp_path / "log")
        end, _ = listener.accept()
        with end:
            yield console, end
        console.close()


def test_it_logs_in_and_runs(machine: tuple[Console, socket.socket], tmp_path: Path) -> None:
    console, end = machine

    def play() -> None:
        for prompt, echo in ((b"\r\nhost login: ", 1), (b"Password: ", 0), (b"\x1b[?2004hroot@host:~# ", 1)):
            end.sendall(prompt)
            typed = end.recv(4096)
            end.sendall(typed.replace(b"\n", b"\r\n") if echo else b"\r\n")
        end.sendall(b"\x1b[?2004l\rone\r\ntwo\r\n<<3>>\r\nroot@host:~# ")

    threading.Thread(target=play, daemon=True).start()
    console.login("root", "secret", timeout=5)
    assert console.run("false", timeout=5) == Answer(3, "one\ntwo")
    assert "host login: " in (tmp_path / "log").read_text()


def test_what_does_not_come_is_shown(machine: tuple[Console, socket.socket]) -> None:
    console, end = machine
    end.sendall(b"Kernel panic - not syncing\r\n")
    with pytest.raises(TimeoutError, match="Kernel panic"):
        console.expect("login:", timeout=0.5)


def test_a_machine_that_ends_is_told(machine: tuple[Console, socket.socket]) -> None:
    console, end = machine
    end.shutdown(socket.SHUT_RDWR)
    with pytest.raises(ConnectionError):
        console.expect("login:", timeout=5)
