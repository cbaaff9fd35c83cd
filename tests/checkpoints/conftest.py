import resource

import pytest


@pytest.fixture
def small_files_only():
    """The operating system refuses to let any file grow beyond 4 kB."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, old[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, old)
