"""The job: what is encoded comes back, and nothing else is accepted"""

from __future__ import annotations

import json
from typing import Any

import pytest

from helper_agent.job import JOB_MAX, Job, decode_job, encode_job
from helper_agent.protocol import PROTOCOL_VERSION
from helper_agent.strict_json import ProtocolError
from tests.helper.support import INSTANCE

JOB = Job(
    PROTOCOL_VERSION, "n0nce", "create", INSTANCE, "linux", "1", ("swap",),
    {"password": {"users": ["root"], "hashes": ["$y$x"]}, "swap": {"size_mib": 512, "on": True}}, False, False,
)  # fmt: skip


def test_jobs_come_back() -> None:
    assert decode_job(encode_job(JOB)) == JOB


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2}, {"version": True}, {"more": 1}, {"nonce": 1}, {"instance": {}}, {"skip_tasks": "swap"},
        {"options": []}, {"options": {"swap": 1}}, {"verbose": 1}, {"verbose": None}, {"instance": None},
    ],
    ids=str,
)  # fmt: skip
def test_jobs_that_are_none_are_refused(changes: dict[str, Any]) -> None:
    body = {**json.loads(encode_job(JOB)), **changes}
    with pytest.raises(ProtocolError):
        decode_job(json.dumps(body).encode())


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b"\0" * 100, b"{" * 100_000])
def test_noise_is_no_job(raw: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_job(raw)


def test_a_job_that_is_too_long() -> None:
    with pytest.raises(ProtocolError, match="more than"):
        decode_job(b" " * (JOB_MAX + 1))
