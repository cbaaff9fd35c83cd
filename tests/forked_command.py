"""A script, the command of `tests.forking.start_command`: its variables come from there."""

import gc
import os
import signal
import sys

from mogabench.cli import main


def run(arguments, out, err, cwd, environment):
    gc.freeze()  # see tests/conftest.py
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    for number, path in ((1, out), (2, err)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
    sys.argv = arguments
    main()


if __name__ == "__main__":
    run(*(globals()[name] for name in ("arguments", "out", "err", "cwd", "environment")))
