from __future__ import annotations

from typing import Any

import yaml as reference
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helper_agent.net import yaml

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"])) | st.sampled_from(
    ["yes", "No", "null", "~", "1_0", "0o7", "a: b"]
)
VALUES: Any = st.recursive(
    st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.dictionaries(TEXT, VALUES, min_size=1, max_size=4))
def test_a_yaml_library_reads_the_same(value: dict[str, Any]) -> None:
    assert reference.safe_load(yaml.dump(value)) == value


def test_block_style() -> None:
    value = {"network": {"version": 2, "ethernets": {"nic0": {"dhcp4": True, "addresses": ["192.0.2.1/24"], "x": []}}}}
    assert yaml.dump(value) == (
        "network:\n  version: 2\n  ethernets:\n    nic0:\n      dhcp4: true\n"
        '      addresses:\n        - "192.0.2.1/24"\n      x: []\n'
    )
