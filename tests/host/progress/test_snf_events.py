"""Events as snf-image's documentation shows them"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from helper_host.progress import snf_events


def test_the_documentations_examples() -> None:
    examples = {
        '{"messages": ["Starting image copy..."], "type": "image-info"}': snf_events.info("Starting image copy..."),
        '{"messages": ["It failed."], "type": "image-error"}': snf_events.error("It failed."),
        '{"position": 335547996, "total": 474398720, "type": "image-copy-progress", "progress": 70.73}': (
            snf_events.copied(335547996, 474398720)
        ),
        '{"subtype": "task-start", "task": "FixPartitionTable", "type": "image-helper"}': (
            snf_events.task_start("FixPartitionTable")
        ),
        '{"subtype": "task-end", "task": "FixPartitionTable", "type": "image-helper"}': (
            snf_events.task_end("FixPartitionTable")
        ),
        '{"subtype": "warning", "type": "image-helper", "messages": ["No swap partition defined"]}': (
            snf_events.helper_warning("No swap partition defined")
        ),
        '{"subtype": "error", "type": "image-helper", "messages": ["The image contains a(n) MSDOS"]}': (
            snf_events.helper_error("The image contains a(n) MSDOS")
        ),
    }
    for like, event in examples.items():
        told = json.loads(event)
        assert abs(told.pop("timestamp") - time.time()) < 60
        assert told == json.loads(like)


def test_an_unknown_total() -> None:
    told = json.loads(snf_events.copied(5, 0))
    assert (told["total"], told["progress"]) == (0, 0.0)


@given(
    st.sampled_from([snf_events.info, snf_events.error, snf_events.helper_warning, snf_events.helper_error]),
    st.text(max_size=3000),
)
def test_an_event_is_one_short_line_whatever_it_says(make: Callable[[str], bytes], text: str) -> None:
    event = make(text)
    assert event.endswith(b"\n")
    assert event.count(b"\n") == 1
    assert len(event) <= snf_events.LINE_MAX
    assert all(isinstance(line, str) for line in json.loads(event)["messages"])


@given(st.text(max_size=200))
def test_a_tasks_name_too(name: str) -> None:
    assert len(snf_events.task_start(name)) <= 2 * snf_events.LINE_MAX
