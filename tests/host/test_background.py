"""Background work: ends are seen, errors surface, leaving cancels"""

from __future__ import annotations

import select
import threading

import pytest

from helper_host.background import Background


def settle(background: Background) -> bool:
    # not select(2), which takes no descriptor above 1023: a long test run has had many
    poll = select.poll()
    poll.register(background.wakeup, select.POLLIN)
    while poll.poll(2000):
        if background.finished():
            return True
    return False


def test_finished_when_all_work_has_ended() -> None:
    done: list[str] = []
    with Background() as background:
        background.start("one", lambda: done.append("one"))
        background.start("two", lambda: done.append("two"))
        assert settle(background)
    assert sorted(done) == ["one", "two"]


def test_an_error_surfaces_in_the_main_loop() -> None:
    def fail() -> None:
        raise ValueError("broken")

    with Background() as background:
        background.start("fail", fail)
        with pytest.raises(ValueError, match="broken"):
            settle(background)


def test_leaving_cancels_and_joins() -> None:
    waited: list[bool] = []
    with Background() as background:
        background.start("wait", lambda: waited.append(background.cancel.wait(20)))
        assert not background.finished()
    assert all(thread.name != "wait" for thread in threading.enumerate())
    assert waited == [True]
