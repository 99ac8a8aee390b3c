"""Evidence that has to be fetched: lists of checksums, and signatures over them or over the image"""

from __future__ import annotations

from collections.abc import Callable

from helper_host.errors import ProviderError
from helper_host.image import sources
from helper_host.image.integrity import fetching, gpgv, keyrings, signature, sums
from helper_host.image.integrity.base import Integrity
from helper_host.image.integrity.checksum import Checksum
from helper_host.image.integrity.reference import LOCAL, Reference, Whereabouts, absolute, is_url, of_path, of_url
from helper_host.image.integrity.resolve import Asked, of_checksum, unverified
from helper_host.image.sources import Places
from helper_host.log import printable
from helper_host.settings import Settings

LIST = "The list of checksums"
SIGNATURE = "The signature"


class Evidence:
    """What `resolve` needs for one image; its errors"""

    def __init__(
        self, image: str, asked: Asked, settings: Settings, places: Places, report: Callable[[str], None]
    ) -> None:
        self._asked = asked
        self._settings = settings
        # a list or a signature in the store may be named by its path
        self._places = places._replace(folders=(places.store, *places.folders))
        self._report = report
        self._required = settings.require == "signature"
        self._near = _whereabouts(image, places)

    def integrity(self) -> Integrity:
        """Get it, and check what can be checked before the image is there"""
        checksum = self._asked.checksum
        if isinstance(checksum, Reference):
            return of_checksum(self._from_list(absolute(checksum, self._near)))
        integrity = of_checksum(checksum) if checksum is not None else Integrity()
        if self._asked.signature is None:
            return integrity
        detached = signature.Signature(
            self._detached(self._asked.signature), keyrings.load(self._settings), self._report
        )
        detached.try_out()
        return integrity._replace(checks=(*integrity.checks, detached))

    def _from_list(self, place: Reference) -> Checksum:
        """The image's line in a list whose signature holds, where one is asked for"""
        name = f"{LIST} {place.shown}"
        content = fetching.get(
            place,
            self._places,
            limit=sums.LIMIT,
            parameter="image_checksum",
            what=LIST,
            signed=self._asked.signature is not None or self._required,
        )
        # a signature's name is looked for next to what it signs
        self._near = self._near._replace(folder=_folder(place, self._places))
        asked = self._asked.signature and absolute(self._asked.signature, self._near)
        signer = None
        if asked is not None and asked != place:
            signer = signature.verify(self._detached(asked), content, keyrings.load(self._settings), name)
        inside = signer is None and (asked is not None or self._required)
        if signature.is_clear_signed(content):
            keys = _keys(self._settings, optional=signer is None and not inside)
            content, around = signature.unwrap(content, keys, name, required=inside)
            signer = signer or around
        elif inside and asked is None:
            raise unverified(self._settings, f"has a list of checksums without a signature, {place.shown}")
        elif inside:
            raise ProviderError(
                "E-IMAGE-SIGNATURE",
                f"{name} is not clear-signed",
                "give where its detached signature is as image_signature",
            )
        if signer is not None:
            self._report(f"{place.shown} is signed by {signer}")
        elif place.text.startswith("http://"):
            self._places.warn(
                f"{place.shown} comes without encryption and isn't signed: anybody on the way can change it"
            )
        return sums.find(sums.parse(content), self._near.image, printable(place.shown))

    def _detached(self, reference: Reference) -> bytes:
        place = absolute(reference, self._near)
        return fetching.get(place, self._places, limit=signature.LIMIT, parameter="image_signature", what=SIGNATURE)


def check_node(settings: Settings) -> None:
    """Whether the node has what its policy needs, and whether its keyrings are some; for people who ask beforehand

    Raises:
        ProviderError: E-NODE, E-SETTINGS, E-IMAGE-SIGNATURE
    """
    if settings.require == "signature":
        gpgv.check()
    _keys(settings, optional=settings.require != "signature")


def _keys(settings: Settings, *, optional: bool) -> list[bytes]:
    """What gpgv knows; nothing, where that is no fault"""
    try:
        return keyrings.load(settings)
    except ProviderError as error:
        if optional and error.code == "E-IMAGE-SIGNATURE":
            return []
        raise


def _whereabouts(reference: str, places: Places) -> Whereabouts:
    """Where a file is; one on the node is opened, since a name in the store may lack its suffix"""
    if is_url(reference) and reference.partition("://")[0].lower() not in LOCAL:
        return of_url(reference)
    content = sources.open_reference(reference, places)
    if content is None:
        raise AssertionError("an image that is none has nothing to check")
    with content:
        return of_path(content.path)


def _folder(place: Reference, places: Places) -> str:
    """What a list's signature is looked for in"""
    return (_whereabouts(place.text, places) if is_url(place.text) else of_path(place.text)).folder
