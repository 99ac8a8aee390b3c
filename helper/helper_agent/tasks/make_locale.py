"""Make the locale that the image lacks

By the image's own localedef, of the sources that the image has; for images whose programs would else use C. It runs
in namespaces of its own, before the task `locale`, which sets the language and says so where it isn't there.
"""

from __future__ import annotations

from helper_agent.api import Context, Option, Skip, Task
from helper_agent.distros import locale_making, locales

TASK = Task(
    name="make-locale",
    phase="filesystems",
    before=("locale",),
    options=(
        Option("wanted", "bool", "whether to do it"),
        Option("lang", "str", "the locale's name"),
    ),
    needs=("wanted",),
    optional=True,
    timeout=360,
    privileges=("image-programs",),
)


def run(context: Context) -> None:
    """See `Task`"""
    root, lang = context.root, context.options.text("lang")
    if not lang:
        raise Skip("no locale is asked for")
    if context.distro.immutable:
        raise Skip("the image's system makes its locales by itself")
    if locales.has(root, lang):
        raise Skip("the image has it, or needs none")
    try:
        recipe = locale_making.recipe(root, lang)
    except locale_making.Lacking as lacking:
        raise Skip(f"the image has no {lacking}") from None
    place = locale_making.make(context, lang, recipe)
    # So that an upgrade of glibc, which may want another format, makes it again
    locales.wish(root, lang)
    context.log.info(f"{locale_making.LOCALEDEF} has made {place} of {recipe.source} and {recipe.charmap}")
