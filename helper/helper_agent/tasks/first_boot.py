"""Run a script at the first boot

Once, as root, with the network up where the image's init knows that; what it prints goes to the console and, where
there is one, to the journal. It is taken away, with the secrets that it may hold, and one that reboots, or that the
power fails, is not begun again.
"""

from __future__ import annotations

from helper_agent.api import Context, Option, Task, TaskError
from helper_agent.init import base as init

TASK = Task(
    name="first-boot",
    phase="filesystems",
    options=(Option("script", "str", "the script, with #! in its first line", secret=True),),
    needs=("script",),
)

FOLDER = "/var/lib/ganeti-instance-helper"
SCRIPT = f"{FOLDER}/first-boot.script"
STARTER = f"{FOLDER}/first-boot"
NAME = "instance-helper-first-boot"
START = f"""#!/bin/sh
# Written by ganeti-instance-helper
# where systemd is, its journal and the console have what is printed
[ -d /run/systemd/system ] || exec >/dev/console 2>&1
say() {{ echo "first boot: $1"; }}
if mv {SCRIPT} {SCRIPT}.running 2>/dev/null; then
  say "running the script"
  cd / && {SCRIPT}.running </dev/null
  say "the script ended with exit code $?"
else
  say "the script was begun before, it is not run again"
fi
rm -f {SCRIPT}.running {STARTER}
exit 0
"""


def run(context: Context) -> None:
    """Lay down script and starter, and have init start it"""
    root, script = context.root, context.options.text("script")
    if not script.startswith("#!"):
        raise TaskError("The script for the first boot does not begin with #!", "add #!/bin/sh", code="E-OPTION")
    root.mkdir(FOLDER, 0o700)
    root.chown(FOLDER, 0, 0)
    root.chmod(FOLDER, 0o700)
    root.install(SCRIPT, script, mode=0o700, follow=False)
    root.install(STARTER, START, mode=0o700, follow=False)
    chosen = init.of(root)
    chosen.install_oneshot(root, NAME, "Script of the first boot", STARTER)
    context.log.info(f"A script of {len(script.encode())} bytes will run at the first boot, by {chosen.NAME}")
