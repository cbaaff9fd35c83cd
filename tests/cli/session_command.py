"""A script, a command in a session of its own, as a terminal has it: ``arguments``, ``said``."""

import os
import signal
import sys

from mogabench.cli import main


def train(arguments, said):
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    file = os.open(said, os.O_WRONLY | os.O_CREAT)
    sys.stdout = sys.stderr = os.fdopen(file, "w", buffering=1)
    sys.argv = ["mogabench", *map(str, arguments)]
    main()


if __name__ == "__main__":
    train(*(globals()[name] for name in ("arguments", "said")))
