"""What a task's file declares, read without running it"""

from __future__ import annotations

from helper_agent import taskfile


def test_which_files_of_a_folder_are_tasks() -> None:
    tasks = ["org.example.motd.py", "org.example.elf", "org.example.join.sh"]
    others = [
        *(".hidden.py", "org.example.motd.py~", "x.bak", "x.dpkg-old", "x.rpmsave", "README", "README.md"),
        *("test_motd.py", "conftest.py", "org.example.elf.toml"),
    ]
    assert taskfile.among([*others, *tasks]) == sorted(tasks)
