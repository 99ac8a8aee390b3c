"""SELinux' file contexts: which label belongs to a path, as libselinux finds it (selabel_file(5))

Lines are `REGEX [TYPE] CONTEXT`. One without a special character that is the path counts first; of the others the last
one that fits, `file_contexts`, `.homedirs` and `.local` taken for one file. Before that, beginnings of the path are
replaced as `.subs` and `.subs_dist` say, the last line first. Only what can fit the paths that are asked for is
compiled: a policy has six thousand lines.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable, Sequence

TYPES = {
    "--": stat.S_IFREG,
    "-d": stat.S_IFDIR,
    "-l": stat.S_IFLNK,
    "-b": stat.S_IFBLK,
    "-c": stat.S_IFCHR,
    "-p": stat.S_IFIFO,
    "-s": stat.S_IFSOCK,
}
NONE = "<<none>>"
SPECIAL = ".^$?*+|[({"
LINES_MAX = 200_000

_LITERAL = r"(?:[^.^$?*+|\[({\\]|\\.)*"

Substitutions = Sequence[tuple[str, str]]


class Spec:
    """One line"""

    number = 0
    """Its place in the policy."""

    def __init__(self, regex: str, kind: int, context: str) -> None:
        self.regex = regex
        self.kind = kind
        """S_IFMT value, 0 for all."""
        self.context = context
        found = re.match(_LITERAL, regex)
        literal = found[0] if found else ""
        self.exact = len(literal) == len(regex)
        """Whether it is one path alone."""
        if regex[len(literal) : len(literal) + 1] in ("?", "*", "{") and not self.exact:
            literal = literal[:-2] if literal[-2:-1] == "\\" else literal[:-1]
        self.start = re.sub(r"\\(.)", r"\1", literal)
        """How every path begins that it fits."""
        self._compiled: re.Pattern[str] | None = None

    def fits(self, path: str) -> bool:
        """Whether it fits the whole path; re.error for what Python's expressions don't have"""
        if self.exact:
            return path == self.start
        if not path.startswith(self.start):
            return False
        if self._compiled is None:
            try:
                self._compiled = re.compile(self.regex, re.DOTALL)
            except (RecursionError, OverflowError) as error:
                raise re.error(str(error)) from None
        return self._compiled.fullmatch(path) is not None


class Contexts:
    """A policy's file contexts

    Args:
        texts: of file_contexts, file_contexts.homedirs and file_contexts.local
        local, distribution: texts of file_contexts.subs and file_contexts.subs_dist
        wanted: beginnings of paths, as `stems` gives them; lines for others are left out
    """

    def __init__(
        self, texts: Iterable[str], *, local: str = "", distribution: str = "", wanted: Iterable[str] | None = None
    ) -> None:
        self._local, self._distribution = _substitutions(local), _substitutions(distribution)
        stems = None if wanted is None else {_stem(self.substituted(path)) for path in wanted}
        specs = [spec for text in texts for spec in _specs(text, stems)]
        self._exact: dict[str, list[Spec]] = {}
        self._by_stem: dict[str, list[Spec]] = {}
        for number, spec in enumerate(specs):
            spec.number = number
            if spec.exact:
                self._exact.setdefault(spec.start, []).append(spec)
            else:
                self._by_stem.setdefault(_regex_stem(spec.regex), []).append(spec)

    def substituted(self, path: str) -> str:
        """The path in whose place it stands in the policy"""
        once = _replaced(path, self._local)
        return _replaced(once, self._distribution)

    def find(self, path: str, mode: int) -> str | None:
        """The label of `path`, None for none

        Args:
            mode: st_mode

        Raises:
            re.error: a line that Python's regular expressions don't have
        """
        path = self.substituted(path)
        kind = stat.S_IFMT(mode)
        for spec in reversed(self._exact.get(path, [])):
            if spec.kind in (0, kind):
                return None if spec.context == NONE else spec.context
        best: Spec | None = None
        for stem in ("", _stem(path)):
            for spec in reversed(self._by_stem.get(stem, [])):
                if best is not None and spec.number < best.number:
                    break
                if spec.kind in (0, kind) and spec.fits(path):
                    best = spec
                    break
        return None if best is None or best.context == NONE else best.context


def _specs(text: str, stems: set[str] | None) -> Iterable[Spec]:
    wanted: dict[str, bool] = {}
    for line in text.split("\n", LINES_MAX)[:LINES_MAX]:
        # Nearly all lines are left out here, so this is what counts
        end = line.find("/", 1)
        beginning = line[:end] if end > 0 else ""
        if beginning not in wanted:
            wanted[beginning] = stems is None or _regex_stem(f"{beginning.lstrip()}/") in ("", *stems)
        if not wanted[beginning] or line[:1] == "#":
            continue
        fields = line.split()
        if len(fields) == 2:
            yield Spec(fields[0], 0, fields[1])
        elif len(fields) == 3 and fields[1] in TYPES:
            yield Spec(fields[0], TYPES[fields[1]], fields[2])


def _regex_stem(regex: str) -> str:
    """The first folder that every path is in, "" where that isn't one"""
    end = regex.find("/", 1)
    stem = regex[:end] if end > 0 else ""
    return "" if any(character in SPECIAL or character == "\\" for character in stem) else stem


def _stem(path: str) -> str:
    end = path.find("/", 1)
    return path[:end] if end > 0 else ""


def _substitutions(text: str) -> Substitutions:
    lines = [line.split() for line in text.split("\n") if not line.lstrip().startswith("#")]
    return [(fields[0], fields[1]) for fields in reversed(lines) if len(fields) >= 2]


def _replaced(path: str, substitutions: Substitutions) -> str:
    for old, new in substitutions:
        if path == old or path.startswith(f"{old}/"):
            rest = path[len(old) :]
            return new + (rest[1:] if new == "/" else rest)
    return path
