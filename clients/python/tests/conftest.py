from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import settings

from coagent_runtime import AsyncClient, Client, Retry
from coagent_runtime.testing import Runtime

from .both import blocking
from .proxy import Proxy

pytest_plugins = ["pytester"]

# A busy machine is no fault.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

Connect = Callable[..., Client]

# Waits in tests are short; how often it is tried is what counts.
QUICK = Retry(attempts=5, base=0.01, cap=0.2)


@pytest.fixture(params=["sync", "async"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Makes clients of either kind, which are closed afterwards."""
    clients: list[Client] = []
    if request.param == "sync":

        def connected(url: str, **options: object) -> Client:
            clients.append(Client(url, **{"retry": QUICK, **options}))  # type: ignore[arg-type]
            return clients[-1]

        yield connected
        for client in clients:
            client.close()
        return

    with start_blocking_portal() as portal:
        yield _async_connector(portal, clients)
        for client in clients:
            client.close()


def _async_connector(portal: BlockingPortal, clients: list[Client]) -> Connect:
    def connected(url: str, **options: object) -> Client:
        clients.append(blocking(portal, AsyncClient(url, **{"retry": QUICK, **options})))  # type: ignore[arg-type]
        return clients[-1]

    return connected


@pytest.fixture
def client(runtime: Runtime, connect: Connect) -> Client:
    return connect(runtime.url)


@pytest.fixture
def proxy(runtime: Runtime) -> Iterator[Proxy]:
    with Proxy(runtime.url) as proxy:
        yield proxy
