"""The asynchronous client in the clothes of the other one, so that one test holds both to the same."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import partial
from types import TracebackType
from typing import Any, cast

from anyio.from_thread import BlockingPortal

from coagent_runtime import AsyncClient, Client


class Blocking:
    """Waits for whatever has to be awaited."""

    def __init__(self, portal: BlockingPortal, inner: Any) -> None:
        self._portal = portal
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        # On the loop's thread: what is looked up may be computed there.
        return self._dressed(getattr(self._inner, name))

    def __iter__(self) -> Iterator[Any]:
        iterator = self._inner.__aiter__()
        return iter(partial(self._next, iterator), _END)

    def __next__(self) -> Any:
        item = self._next(self._inner)
        if item is _END:
            raise StopIteration
        return item

    def __enter__(self) -> Any:
        return self._dressed(self._portal.call(self._inner.__aenter__))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._portal.call(self._inner.__aexit__, kind, error, trace)

    def _next(self, iterator: Any) -> Any:
        async def ahead() -> Any:
            try:
                return await iterator.__anext__()
            except StopAsyncIteration:
                return _END

        return self._portal.call(ahead)

    def _dressed(self, value: Any) -> Any:
        if inspect.ismethod(value):
            return partial(self._called, value)
        if hasattr(value, "__aiter__") or type(value).__name__.startswith("Async"):
            return Blocking(self._portal, value)
        return value

    def _called(self, method: Any, *args: Any, **kwargs: Any) -> Any:
        async def called() -> Any:
            result = method(*args, **kwargs)
            return await result if inspect.isawaitable(result) else result

        return self._dressed(self._portal.call(called))


_END = object()


def blocking(portal: BlockingPortal, client: AsyncClient) -> Client:
    return cast(Client, Blocking(portal, client))
