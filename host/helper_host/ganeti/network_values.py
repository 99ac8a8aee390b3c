"""Values of the OS parameters for the network: nic0, nic1, ..., default_nic, network_renderer"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from helper_agent.net import wishes
from helper_host.ganeti.values import Invalid


def nic(text: str) -> str:
    """What is wished of one NIC, as the helper reads it again"""
    return _checked(text, wishes.parse)


def default_nic(text: str) -> str:
    """What is done with a lone NIC without data"""
    return _checked(text, wishes.parse_default)


def renderer(text: str) -> str:
    """The name of a network system; which of them the image has is seen in the helper"""
    name = text.strip().lower()
    if name not in wishes.RENDERERS:
        raise Invalid("is no network renderer", f"give one of {', '.join(wishes.RENDERERS)}")
    return name


def _checked(text: str, parse: Callable[[str], Any]) -> str:
    words = " ".join(text.split())
    try:
        parse(words)
    except wishes.WishError as error:
        raise Invalid(error.why, error.remedy) from None
    return words
