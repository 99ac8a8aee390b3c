"""XFS: growth that the helper's memory is too small for is refused before it begins"""

from __future__ import annotations

import pytest

from helper_agent.api import TaskError
from helper_agent.filesystems import xfs
from tests.helper.support import Programs, Recorded


def test_memory() -> None:
    xfs._refuse_without_memory(1000, 40_000)
    with pytest.raises(TaskError, match="5000 more") as error:
        xfs._refuse_without_memory(5000, 160_000)
    assert error.value.code == "E-FILESYSTEM"
    assert "memory_mib by 103" in error.value.remedy


def test_errors_that_stay() -> None:
    programs = Programs()
    programs.answer("xfs_repair", "couldn't find a superblock", returncode=1)
    with pytest.raises(TaskError) as error:
        xfs.repair("/dev/x", programs, Recorded())
    assert error.value.code == "E-FILESYSTEM"
    assert "superblock" in error.value.output
