"""/etc/hosts (hosts(5)): when the system's name changes, and with lines that somebody asked for"""

from __future__ import annotations

from collections.abc import Sequence

EMPTY = """127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""
"""What Debian's installer writes, for an image that has no such file."""
BEGIN = "# Written by ganeti-instance-helper"
END = "# End of what ganeti-instance-helper has written"


def renamed(text: str, old: str, new: str, own_address: str) -> str:
    """`text` after the system's name changed from `old` to `new` (whole name, or first label only; old may be "")

    The line of `own_address` gets `new` and its first label, aliases that are not the old name stay. On other loopback
    lines the old name goes away, on the rest it becomes the new one. Lines without it stay byte for byte.
    """
    old_short, new_short = _short(old), _short(new)
    if old_short in ("localhost", "(none)"):
        old = old_short = ""
    end = "\r" if "\r\n" in text else ""
    lines = text.split("\n")
    own_names = list(dict.fromkeys((new, new_short)))
    result: list[str] = []
    done = not own_address
    for line in lines:
        body, hash_sign, comment = line.rstrip("\r").partition("#")
        address, *names = body.split() or [""]
        if address == own_address and names:
            # Its names are the old ones even where /etc/hostname says otherwise, as long as they begin with it
            kept = [name for name in names if _short(name) not in (old_short, new_short) and name != "localhost"]
            kept = ([] if done else own_names) + ([] if not old_short else kept)
            done = True
        elif old_short and any(name in (old, old_short) for name in names):
            kept = _replaced(names, old, new, loopback=address.startswith("127.") or address == "::1")
        else:
            result.append(line)
            continue
        if kept == names:
            result.append(line)
        elif kept:
            result.append(f"{address}\t{' '.join(kept)}{' ' + hash_sign + comment if hash_sign else ''}{end}")
    if not done:
        _insert(result, f"{own_address}\t{' '.join(own_names)}{end}")
    return "\n".join(result)


def _replaced(names: Sequence[str], old: str, new: str, *, loopback: bool) -> list[str]:
    if loopback:
        return [name for name in names if name not in (old, _short(old))]
    change = {_short(old): _short(new), old: new}  # where old is one label, it becomes the whole name
    return list(dict.fromkeys(change.get(name, name) for name in names))


def _insert(lines: list[str], own: str) -> None:
    """After the last line of 127.0.0.1, where Debian's installer has it; else at the top"""
    after = [index for index, line in enumerate(lines) if line.split()[:1] == ["127.0.0.1"]]
    position = after[-1] + 1 if after else 0
    lines.insert(position, own)
    if position == len(lines) - 1:
        lines.append("")  # the line before had no newline, ours gets one


def _short(name: str) -> str:
    return name.partition(".")[0]


def with_block(text: str, lines: Sequence[str]) -> str:
    """`text` with `lines` between the comments BEGIN and END, in the place of what stood there"""
    end = "\r\n" if "\r\n" in text else "\n"
    before = text.split(end)
    block = [BEGIN, *lines, END]
    last = max((number for number, line in enumerate(before) if line == END), default=-1)
    starts = [number for number, line in enumerate(before[: last + 1]) if line == BEGIN]
    if starts:
        return end.join((*before[: starts[-1]], *block, *before[before.index(END, starts[-1]) + 1 :]))
    head = before[:-1] if before[-1] == "" else before
    return end.join((*head, *block, ""))
