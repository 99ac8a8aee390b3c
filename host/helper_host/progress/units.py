"""Bytes, rates and times as people read them"""

from __future__ import annotations

MIB = 1 << 20


def mib(size: int) -> str:
    """Whole MiB; a size below one is not 0"""
    return f"{size // MIB if size >= MIB or size == 0 else 1} MiB"


def rate(per_second: float) -> str:
    """MiB a second, with a decimal where there are few"""
    value = per_second / MIB
    return f"{value:.0f} MiB/s" if value >= 10 else f"{value:.1f} MiB/s"


def duration(seconds: float) -> str:
    """such as 7 s, 3:07 or 1:02:07"""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def far(done: int, total: int) -> str:
    """How far: `3 of 12 MiB (25 %)`, or `3 MiB` of nobody knows how many"""
    if not total:
        return mib(done)
    return f"{done // MIB} of {mib(total)} ({100 * done // total} %)"
