import pytest

from mogabench.paper import get_paper
from mogabench.records import open_store, packaged_results
from mogabench.tables.join import join


@pytest.fixture(scope="session")
def store():
    return open_store(packaged_results())


@pytest.fixture(scope="session")
def tables(store):
    """The paper's tables beside the packaged records."""
    return [join(get_paper().table(name), store) for name in get_paper().table_ids]
