"""Set the language

LANG, where the system looks for it. What contradicts it in the same file goes away. A locale that the image lacks is
put on the list of those to be made, where it has one, and a warning says how to get it: no program of the image is run
to make it unless the task `make-locale` is asked for.
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
    # A word and not a boolean, which the schema of 22.4 (Debian 12) warns of; it means the same to cc_locale
    cloud_init.pin(root, "locale", 'locale: "false"')
    context.log.info(f"Locale {lang} in {path}")
    if not locales.has(root, lang):
        listed = locales.wish(root, lang)
        context.log.warning(f"The image doesn't have the locale {lang}, so programs use C; {_remedy(context, listed)}")


def _remedy(context: Context, listed: bool) -> str:
    """How to get the locale"""
    # late: most images don't get here
    from helper_agent.distros import locale_making

    later = "first_boot=locale-gen makes it" if listed else "have first_boot install the package that has it"
    try:
        locale_making.recipe(context.root, context.options.text("lang"))
    except locale_making.Lacking as lacking:
        return f"make_locale can't make it, since the image has no {lacking}; correct its name, or {later}"
    return f"make_locale=yes makes it, unless a warning of make-locale says why not; or {later}"
