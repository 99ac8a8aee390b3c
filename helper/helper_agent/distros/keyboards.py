"""Files in which systems have the keyboard's layout

X11 has layouts with variants, the console keymaps with names of their own, of which most are called as the layout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from helper_agent.api import Logger, TaskError
from helper_agent.root import Root

KEYMAPS = ("/usr/share/kbd/keymaps", "/usr/lib/kbd/keymaps", "/lib/kbd/keymaps", "/usr/share/keymaps")
OTHERWISE = {"gb": "uk", "jp": "jp106", "br": "br-abnt2", "latam": "la-latin1", "ch": "sg"}
"""Layout -> keymap, where they are called differently."""
X11 = "/etc/X11"
X11_FILE = f"{X11}/xorg.conf.d/00-keyboard.conf"
CACHED = ("/etc/console-setup/cached_setup_keyboard.sh", "/etc/console-setup/cached_*.kmap.gz")
"""What Debian's setupcon(1) made of the old layout, and would load; it makes them anew."""
BKEYMAPS = "/usr/share/bkeymaps"
"""Alpine's, for BusyBox; of the package kbd-bkeymaps."""

Form = Callable[[Root, str, str, str, Logger], None]
"""Write a file: root, path, layout, variant, log."""


def xkb(root: Root, path: str, layout: str, variant: str, _: Logger) -> None:
    """Debian's keyboard(5)"""
    root.set_key(path, "XKBLAYOUT", f'"{layout}"')
    root.set_key(path, "XKBVARIANT", f'"{variant}"')
    for pattern in CACHED:
        for cached in root.glob(pattern):
            root.remove(cached)


def vconsole(root: Root, path: str, layout: str, variant: str, log: Logger) -> None:
    """vconsole.conf(5), and what localectl(1) writes for X11"""
    root.set_key(path, "KEYMAP", keymap(root, layout, variant, log))
    # since systemd 254; those before pass over it
    root.set_key(path, "XKBLAYOUT", layout)
    root.set_key(path, "XKBVARIANT", variant or None)
    _x11(root, layout, variant)


def _assignment(key: str, *, quotes: bool) -> Form:
    """A shell's variable"""

    def form(root: Root, path: str, layout: str, variant: str, log: Logger) -> None:
        name = keymap(root, layout, variant, log)
        root.set_key(path, key, f'"{name}"' if quotes else name)
        _x11(root, layout, variant)

    return form


def loadkmap(root: Root, path: str, layout: str, variant: str, _: Logger) -> None:
    """Alpine's service loadkmap, as setup-keymap(8) has it: a keymap of BusyBox's own form in /etc/keymap"""
    name = f"{layout}-{variant}" if variant else layout
    source = next((path for path in (f"{BKEYMAPS}/{layout}/{name}.bmap.gz",) if root.is_file(path)), "")
    if not source:
        raise TaskError(
            f"The image has no keymap {name}", "install the package kbd-bkeymaps in the image, or leave keyboard out"
        )
    target = f"/etc/keymap/{name}.bmap.gz"
    root.install(target, root.read(source))
    root.set_key(path, "KEYMAP", target)
    _x11(root, layout, variant)


def rc_keymap(root: Root, path: str, layout: str, variant: str, log: Logger) -> None:
    """Slackware's script"""
    name = keymap(root, layout, variant, log)
    text = (
        "#!/bin/sh\n# Load the keyboard map.  More maps are in /usr/share/kbd/keymaps.\n"
        f"if [ -x /usr/bin/loadkeys ]; then\n /usr/bin/loadkeys {name}\nfi\n"
    )
    root.install(path, text, mode=0o755)
    _x11(root, layout, variant)


FORMS: Mapping[str, Form] = {
    "/etc/default/keyboard": xkb,
    "/etc/vconsole.conf": vconsole,
    "/etc/conf.d/keymaps": _assignment("keymap", quotes=True),
    "/etc/conf.d/loadkmap": loadkmap,
    "/etc/rc.conf": _assignment("KEYMAP", quotes=True),
    "/etc/rc.d/rc.keymap": rc_keymap,
    "/etc/sysconfig/keyboard": _assignment("KEYTABLE", quotes=True),
}
"""Path -> what writes it."""


def keymap(root: Root, layout: str, variant: str, log: Logger) -> str:
    """The console's keymap for a layout: the first of the names that it may have which the image has"""
    usual = OTHERWISE.get(layout, layout)
    names = (f"{layout}-{variant}", f"{usual}-{variant}", f"{layout}-latin1-{variant}") if variant else ()
    there = {
        path.rpartition("/")[2].partition(".map")[0]
        for folder in KEYMAPS
        if root.is_dir(folder) and not root.is_symlink(folder)
        for path in root.walk(folder)
    }
    best = next((name for name in (*names, usual, layout, f"{layout}-latin1") if name in there), "")
    if there and (not best or (variant and best not in names)):
        wanted = f"{layout}:{variant}" if variant else layout
        log.warning(f"The image has no keymap for {wanted}; the console gets {best or usual}")
    return best or (names[0] if names and not there else usual)


def _x11(root: Root, layout: str, variant: str) -> None:
    if not root.is_dir(X11):
        return
    options = [("XkbLayout", layout), *([("XkbVariant", variant)] if variant else [])]
    lines = "".join(f'        Option "{name}" "{value}"\n' for name, value in options)
    root.write(
        X11_FILE,
        "# Written by ganeti-instance-helper; localectl(1) changes this file, too\n"
        'Section "InputClass"\n        Identifier "system-keyboard"\n        MatchIsKeyboard "on"\n'
        f"{lines}EndSection\n",
    )
