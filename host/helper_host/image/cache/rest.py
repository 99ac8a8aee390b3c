"""What is missing of a file whose first bytes came by way of the cache, past it"""

from __future__ import annotations

import threading
from collections.abc import Generator

from helper_host.answers import Validators
from helper_host.image.cache.wanted import Wanted


def rest(
    wanted: Wanted, position: int, validators: Validators, cancel: threading.Event
) -> Generator[bytes, None, None]:
    """The bytes from `position` on of a file of which the first ones were had, with these validators

    Raises:
        ProviderError: E-IMAGE-FETCH, also when the server has another file now; E-INTERRUPTED
    """
    from helper_host.transfer import Changed, FetchError

    try:
        with wanted.transfer(cancel) as transfer:
            transfer.open(position=position, validators=validators)
            yield from transfer.blocks()
    except FetchError as error:
        raise wanted.failed(error.cause, error.remedy) from None
    except Changed:
        raise wanted.replaced() from None
