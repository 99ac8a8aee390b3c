"""Set the keyboard's layout

For the console, in the file that the system has for it, and for X11, where the image has that.
"""

from __future__ import annotations

from helper_agent.api import Context, Option, Task, TaskError
from helper_agent.distros import keyboards, lasting

TASK = Task(
    name="keyboard",
    phase="filesystems",
    options=(Option("layout", "str", "a layout of xkeyboard-config(7), maybe with a variant: de:nodeadkeys"),),
    needs=("layout",),
)


def run(context: Context) -> None:
    """Write it"""
    if context.distro.immutable:
        raise lasting.stays(context, "The keyboard")
    root, files = context.root, context.distro.keyboard_files
    layout, _, variant = context.options.text("layout").partition(":")
    path = next((path for path in files if root.is_file(path)), files[0] if files else "")
    form = keyboards.FORMS.get(path)
    if form is None:
        raise TaskError(
            f"Where {context.distro.name} has the keyboard's layout is not known",
            "leave keyboard out, or use first_boot",
        )
    form(root, path, layout, variant, context.log)
    context.log.info(f"Keyboard {context.options.text('layout')} in {path}")
