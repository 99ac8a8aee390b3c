"""A task on a folder: the agent's own run, and a summary"""

from __future__ import annotations

from pathlib import Path

import pytest

from helper_kit import files, on_folder
from tests.kit import tasks


def run(
    path: str, tree: Path, options: dict[str, object] | None = None, *, distro: str = "", name: str = ""
) -> tuple[bool, list[str]]:
    """Whether it went well, and the lines that were shown"""
    shown: list[str] = []

    def say(text: str) -> None:
        shown.extend(text.splitlines())

    well = on_folder.run(files.load(path), str(tree), options or {}, say, distro=distro, name=name)
    return well, shown


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """An image's tree, hardly more than its name"""
    folder = tmp_path / "tree"
    (folder / "etc").mkdir(parents=True)
    (folder / "etc/os-release").write_text("ID=alpine\n")
    return folder


def test_what_it_logged_and_changed(tmp_path: Path, tree: Path) -> None:
    well, shown = run(tasks.good(tmp_path), tree, {"owner": "example.net"}, name="db.example.org")
    assert well
    assert shown == [
        "log: written",
        "new      /etc/motd (0644, owner 0:0)",
        "         @@ -0,0 +1 @@",
        "         +db.example.org of example.net",
        "org.example.motd: done",
    ]
    assert (tree / "etc/motd").read_text() == "db.example.org of example.net\n"


def test_a_failure(tmp_path: Path, tree: Path) -> None:
    failing = tasks.variant(tmp_path, ('context.log.info("written")', 'raise ValueError("it broke")'))
    well, shown = run(failing, tree)
    assert not well
    assert any(line.startswith("org.example.motd: failed: ") and "it broke" in line for line in shown)


def test_an_optional_task_leaves_nothing_behind(tmp_path: Path, tree: Path) -> None:
    failing = tasks.variant(
        tmp_path,
        ("api=1,", "api=1,\n    optional=True,"),
        ('context.log.info("written")', 'raise ValueError("it broke")'),
    )
    well, shown = run(failing, tree)
    assert not well, "no installation would end, but the author wants to know"
    assert "nothing was changed" in shown
    assert shown[-1].startswith("org.example.motd: skipped: ")


def test_the_time_limit_holds(tmp_path: Path, tree: Path) -> None:
    slow = tasks.variant(
        tmp_path,
        ("api=1,", "api=1,\n    timeout=0.2,"),
        ('context.log.info("written")', "__import__('time').sleep(20)"),
    )
    well, shown = run(slow, tree)
    assert not well
    assert "still at work after 0.2 s" in shown[-1] or "still at work after 0.2 s" in " ".join(shown)


def test_a_task_for_another_system_is_skipped(tmp_path: Path, tree: Path) -> None:
    path = tasks.variant(tmp_path, ("api=1,", 'api=1,\n    distros=("debian",),'))
    assert run(path, tree)[1] == ["nothing was changed", "org.example.motd: skipped: for debian only"]
    assert run(path, tree, distro="debian")[1][-1] == "org.example.motd: done"


def test_a_task_for_rename_alone_is_run_for_that(tmp_path: Path, tree: Path) -> None:
    path = tasks.variant(
        tmp_path, ("api=1,", 'api=1,\n    actions=("rename",),'), ('info("written")', 'info(f"at {context.action}")')
    )
    assert run(path, tree)[1][0] == "log: at rename"


def test_secrets_are_not_shown(tmp_path: Path, tree: Path) -> None:
    path = tasks.variant(
        tmp_path, ('"example.org")', '"example.org", secret=True)'), ('info("written")', "info(f'{owner} written')")
    )
    _, shown = run(path, tree, {"owner": "S3cret-canary"})
    assert "canary" not in " ".join(shown)
    assert "log: [secret] written" in shown


def test_this_machines_own_root_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(files.KitError, match="this machine's own root"):
        run(tasks.good(tmp_path), Path("/"))


def test_a_task_on_devices_has_no_folder(tmp_path: Path, tree: Path) -> None:
    path = tasks.variant(tmp_path, ('"filesystems"', '"devices"'), ('    after=("hostname",),\n', ""))
    with pytest.raises(files.KitError, match="works on disks"):
        run(path, tree)


def test_a_program_is_not_run_without_its_sandbox(tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("helper_kit.program.may_build_sandbox", lambda: False)
    (tmp_path / "motd").write_text("this machine's\n")
    (tree / "etc/motd").symlink_to(tmp_path / "motd")
    with pytest.raises(files.KitError, match="run this as root"):
        run(tasks.put(tmp_path, "org.example.greeting.sh", tasks.PROGRAM, mode=0o755), tree)
    assert (tmp_path / "motd").read_text() == "this machine's\n"


@pytest.mark.root
def test_a_program(tmp_path: Path, tree: Path) -> None:
    well, shown = run(tasks.put(tmp_path, "org.example.greeting.sh", tasks.PROGRAM, mode=0o755), tree)
    assert well, shown
    assert (tree / "etc/motd").read_text() == "hello\n"
