"""A script, one process of `tests.engine.ranks.run_on`: its variables come from there."""

import gc
import os
import pickle

from mogabench.engine.run import run
from mogabench.tasks import get_task


def main(job, before, file, variables):
    gc.freeze()  # see tests/conftest.py
    os.environ.update(variables)
    exec(before, {})
    try:
        found = run(job, get_task(job.subject.task))
    except Exception as error:
        found = error
    file.write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    main(*(globals()[name] for name in ("job", "before", "file", "variables")))
