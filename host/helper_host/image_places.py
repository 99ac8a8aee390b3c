"""From the settings to where images may come from"""

from __future__ import annotations

from helper_host import http
from helper_host.image.cache.spec import CacheSpec
from helper_host.image.formats import names
from helper_host.image.sources import Places
from helper_host.log import Log
from helper_host.settings import Settings

MIB = 1 << 20


def of(settings: Settings, log: Log, image_format: str = names.AUTO) -> Places:
    """Places as the settings have them, for an image of a declared format; warnings go to `log`"""
    return Places(
        settings.image_store,
        (settings.image_store, *settings.image_folders),
        subfolders=settings.image_subfolders,
        suffix=_suffix(image_format),
        urls=settings.image_urls,
        rules=http.Rules(
            schemes=("https", "http"),
            ca_file=settings.ca_file,
            proxy=settings.proxy,
            no_proxy=settings.no_proxy,
            connect_seconds=settings.connect_timeout,
            silence_seconds=settings.download_silence_timeout,
        ),
        headers=settings.http_headers,
        programs=settings.image_programs,
        cache=CacheSpec(
            settings.cache_folder, settings.cache_size_mib * MIB, settings.cache_max_age, settings.cache_stale
        ),
        warn=log.warning,
        say=log.info,
    )


def _suffix(image_format: str) -> str:
    """As files of that format are called: .diskdump, .raw.gz"""
    return "" if image_format == names.AUTO else f".{image_format.replace('+', '.')}"
