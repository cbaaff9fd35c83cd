import contextlib
import resource

import pytest


@pytest.fixture
def small_files_only():
    """Gives a context in which no file can grow beyond 4 kB, as if the disk were full.

    It is a context, not the whole test, because pytest writes its progress before a fixture
    ends: into a log that may be longer than that.
    """

    @contextlib.contextmanager
    def limit():
        old = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, old[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, old)

    return limit
