"""An init that is not known here, or whose services can't be changed by files (NixOS, Guix)"""

from __future__ import annotations

from typing import NoReturn

from helper_agent.api import TaskError

NAME = "an init that is not known here"


def installed(*_: object) -> bool:
    """See `base.Init`"""
    return False


def is_enabled(*_: object) -> bool:
    """See `base.Init`"""
    return False


def enable(_: object, service: str) -> bool:
    """See `base.Init`"""
    _refuse(f"enable {service}")


def disable(_: object, service: str) -> bool:
    """See `base.Init`"""
    _refuse(f"disable {service}")


def install_oneshot(_: object, name: str, *__: object) -> None:
    """See `base.Init`"""
    _refuse(f"add the service {name}")


def _refuse(what: str) -> NoReturn:
    raise TaskError(
        f"The image's init is not known here, or takes its services from elsewhere than files below /etc: can't {what}",
        "do it in the image itself, or use one with systemd, OpenRC, SysV init or runit",
    )
