"""Runs a program, and sees to it that neither it nor what it starts outlives whoever wanted it

A file of its own, run by `python -I -S`: with the descriptor of a pipe that has something to read, or an end, when it
is time to go, the one that becomes the program's third, and the program with its argument. What PR_SET_PDEATHSIG can't
do: it reaches the program, and not its children.
"""

import os
import select
import signal
import sys

SIZE_FD = 3


def main(lifeline: int, size: int, argv: list[str]) -> int:
    """Run it; its exit status, 128 and the signal's number where one has ended it"""
    os.set_inheritable(lifeline, False)
    os.set_inheritable(size, False)
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        # shells know descriptors of one digit; dup2 leaves one that is in its place already as it is
        os.dup2(size, SIZE_FD)
        os.set_inheritable(SIZE_FD, True)
        # Python ignores it, and who writes to a pipe that nobody reads shall end
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        try:
            os.execv(argv[0], argv)  # noqa: S606
        except OSError as error:
            os.write(2, f"{argv[0]} can't be run: {error.strerror}\n".encode())
        os._exit(127)
    try:
        # in both processes, so that it is done whoever comes first
        os.setpgid(child, child)
    except OSError:
        pass  # it has become the program already
    for number in (0, 1, 2, size):
        # whoever reads there waits for the program's end, not for ours
        os.close(number)
    ended = os.pidfd_open(child)
    poll = select.poll()
    poll.register(lifeline, select.POLLIN)
    poll.register(ended, select.POLLIN)
    poll.poll()
    try:
        os.killpg(child, signal.SIGKILL)
    except ProcessLookupError:
        pass
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
