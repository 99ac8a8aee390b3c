"""Set the language

LANG, where the system looks for it. What contradicts it in the same file goes away. The image's programs can't be run
here to make a locale that it lacks: that one is put on the list of those to be made, and a warning says how.
"""

from __future__ import annotations

from helper_agent.api import Context, Option, Task
from helper_agent.distros import cloud_init, lasting, locales

TASK = Task(
    name="locale",
    phase="filesystems",
    options=(Option("lang", "str", "the locale's name"),),
    needs=("lang",),
)


def run(context: Context) -> None:
    """Write LANG, and see whether the image has it"""
    if context.distro.immutable:
        raise lasting.stays(context, "The locale")
    root, lang, files = context.root, context.options.text("lang"), context.distro.locale_files
    path = next((path for path in files if root.is_file(path)), files[0])
    locales.write(root, path, lang)
    cloud_init.pin(root, "locale", "locale: false")
    context.log.info(f"Locale {lang} in {path}")
    if not locales.has(root, lang):
        listed = locales.wish(root, lang)
        what = f"locale-gen makes it, now that {locales.GEN} has it" if listed else "its language pack brings it"
        context.log.warning(f"The image doesn't have the locale {lang}, so programs use C: {what} (see first_boot)")
