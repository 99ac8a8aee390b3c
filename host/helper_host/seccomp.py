"""Which system calls a confined process may make: a list, as the program that the kernel runs on each call

What is not on the list fails with EPERM, as a missing right would; a call by another ABI (32 bit, which counts its
calls differently) ends the process. x86-64 only, like everything that knows system calls by number here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable


def _table(text: str) -> dict[str, int]:
    words = text.split()
    return {name: int(number) for name, number in zip(words[::2], words[1::2], strict=True)}


COMPUTE = _table("""
    read 0  write 1  close 3  fstat 5  poll 7  lseek 8  mmap 9  mprotect 10  munmap 11
    brk 12  rt_sigaction 13  rt_sigprocmask 14  rt_sigreturn 15  readv 19  writev 20
    sched_yield 24  mremap 25  madvise 28  getpid 39  exit 60  gettid 186  futex 202
    clock_gettime 228  exit_group 231  getrandom 318
""")
"""Name -> number, for who has all it needs: memory, and what is open already."""
PROGRAM = COMPUTE | _table("""
    open 2  stat 4  lstat 6  ioctl 16  pread64 17  access 21  select 23  dup 32  dup2 33
    nanosleep 35  execve 59  uname 63  fcntl 72  getcwd 79  readlink 89  umask 95
    gettimeofday 96  getrlimit 97  getrusage 98  sysinfo 99  times 100  getuid 102
    getgid 104  geteuid 107  getegid 108  getppid 110  getresuid 118  getresgid 120
    sigaltstack 131  mlock 149  munlock 150  arch_prctl 158  setrlimit 160  time 201
    getdents64 217  set_tid_address 218  clock_getres 229  clock_nanosleep 230  tgkill 234
    openat 257  newfstatat 262  readlinkat 267  faccessat 269  pselect6 270  ppoll 271
    set_robust_list 273  dup3 292  prlimit64 302  statx 332  rseq 334  close_range 436
    openat2 437  faccessat2 439
""")
"""For a program that is loaded with its libraries and reads files: no socket, no process, no mount, no rights."""

# include/uapi/linux/{bpf_common,filter,seccomp,audit}.h; offsets in struct seccomp_data
LOAD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
NUMBER, ARCHITECTURE = 0, 4
X86_64 = 0xC000003E
KILL_PROCESS, ERRNO_EPERM, ALLOW = 0x80000000, 0x00050001, 0x7FFF0000


def program(calls: Iterable[int]) -> bytes:
    """The filter that allows `calls`, at most 255 numbers, as the kernel takes it (struct sock_filter)"""
    numbers = sorted(set(calls))
    lines = [(LOAD, 0, 0, ARCHITECTURE), (JUMP_EQUAL, 1, 0, X86_64), (RETURN, 0, 0, KILL_PROCESS), (LOAD, 0, 0, NUMBER)]
    lines += [(JUMP_EQUAL, len(numbers) - index, 0, number) for index, number in enumerate(numbers)]
    lines += [(RETURN, 0, 0, ERRNO_EPERM), (RETURN, 0, 0, ALLOW)]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)
