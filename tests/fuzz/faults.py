"""System calls that fail, or at which a process is killed, in turn, as SQLite tests it.

A child does the work. strace first lists its system calls on the test's files, and then makes one
of them fail, or kills the child there, until each had each fault.
"""

import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mogabench.errors import UserError

CALLS = "openat,write,fsync,mkdir,rename,renameat2,ftruncate,flock,fcntl,unlink,unlinkat,rmdir"
FAULTS = ["error=EIO", "error=ENOSPC", "signal=SIGINT", "signal=SIGKILL"]
ENDS = 0, 2, 130
"""Exit statuses: the call did not matter, a line was said, Ctrl-C."""


def traced_works() -> bool:
    if shutil.which("strace") is None:
        return False
    probe = ["strace", "-e", "trace=write", "-e", "inject=write:error=EIO:when=1", "true"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


needs_strace = pytest.mark.skipif(
    not traced_works(), reason="needs apt-get install strace, and to trace"
)


def in_child(work: Callable[[], None]) -> int:
    """The number of a child that does the work."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        work()
        status = 0
    except UserError as error:
        status = 2 if "\n" not in str(error) else 1
    except KeyboardInterrupt:
        status = 130
    except BaseException as error:
        print(repr(error), file=sys.stderr, flush=True)
    finally:
        os._exit(status)


def traced(work: Callable[[], None], log: Path, *inject: str) -> int:
    """The exit status of a child that does the work, its calls in the log."""
    ready, go = os.pipe()
    said = log.with_suffix(".said")
    errors = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    def alone():
        os.close(go)
        os.dup2(errors, 2)
        os.read(ready, 1)
        work()

    pid = in_child(alone)
    os.close(ready)
    os.close(errors)
    command = ["strace", "-y", "-p", str(pid), "-o", str(log), "-e", f"trace={CALLS}", *inject]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert "attached" in tracer.stderr.readline()
    os.write(go, b"x")
    os.close(go)
    _, status = os.waitpid(pid, 0)
    tracer.wait()
    tracer.stderr.close()
    assert "Traceback" not in said.read_text(), said.read_text()[-2000:]
    return status


def calls_on(folder: Path, log: Path) -> Iterator[tuple[str, int]]:
    """The calls of a log that name a file in the folder, each with its number among its like."""
    seen, named = Counter(), re.compile(re.escape(str(folder)) + r'(?=[/">])')
    for line in log.read_text(errors="replace").splitlines():
        call = re.match(r"(\w+)\(", line)
        if call:
            seen[call[1]] += 1
            if named.search(line):
                yield call[1], seen[call[1]]


def every_fault(work: Callable[[], None], folder: Path, check: Callable[[], None]) -> int:
    """Injects each fault at each call on the folder's files, and checks after each.

    Returns:
        How many faults there were.
    """
    log, count = folder.with_suffix(".strace"), 0
    assert traced(work, log) == 0
    check()
    for (call, number), fault in itertools.product(list(calls_on(folder, log)), FAULTS):
        status = traced(work, log, "-e", f"inject={call}:{fault}:when={number}")
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        calls = log.read_text(errors="replace")
        assert killed or os.WEXITSTATUS(status) in ENDS, (call, number, fault, calls[-2000:])
        count += killed or "(INJECTED)" in calls or "--- SIGINT" in calls
        check()
    print(f"{count} faults")
    return count
