"""README.md says what the code does"""

from __future__ import annotations

import re

from helper_host.ganeti import parameters
from tests import readme


def test_the_table_of_parameters_is_current() -> None:
    text = readme.README.read_text(encoding="utf-8")
    assert readme.current(text) == text, "run `make readme`"


def test_every_parameter_in_an_example_exists() -> None:
    examples = re.findall(r"`((?:-O )?[a-z_]+=[^`]*)`", readme.README.read_text(encoding="utf-8"))
    used = {name for example in examples for name in re.findall(r"(?:^|,|-O )([a-z_]+)=", example)}
    known = set(parameters.Parameters.rows)
    assert used - known <= {"phase"}, "the README shows a parameter that doesn't exist"
    assert "image" in used
