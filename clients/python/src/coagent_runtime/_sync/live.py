# Written by unasync.py from _async/live.py: change that one.
"""A document in a session."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace as with_changed
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .._live.channel import ABSENT, Channel
from ..errors import Indeterminate, Unavailable
from ..models import Acknowledged, Position
from ..shape import Shape
from ..updates import Deletion, Update
from .io import Event, happened

if TYPE_CHECKING:
    from .session import Session

S = TypeVar("S")


class LiveDoc(Generic[S]):
    """A document that a session keeps at hand: as it is now, its updates one by one, and a way to change it."""

    def __init__(self, session: Session, channel: Channel, shape: Shape[S]) -> None:
        self._session = session
        self._channel = channel
        self._shape = shape

    @property
    def type(self) -> str:
        return self._channel.doc.partition("/")[0]

    @property
    def id(self) -> str:
        return self._channel.doc.partition("/")[2]

    @property
    def data(self) -> S:
        """The document as it was told last; `{}` while it is deleted."""
        return self._shape.read(self._channel.cursor.plain)

    @property
    def position(self) -> Position:
        """The version that `data` is."""
        position = self._channel.cursor.position
        assert position is not None, "a document that is open has been told"
        return position

    @property
    def version(self) -> int:
        return self.position.version

    @property
    def peers(self) -> dict[str, Any]:
        """Who is at the document, by connection: `{"principal", "data"}`; if it was opened with `presence`."""
        return self._channel.peers

    def mutate(
        self,
        *,
        patch: Iterable[Mapping[str, Any]] = ABSENT,
        merge: Any = ABSENT,
        replace: S = ABSENT,
        intents: Iterable[Mapping[str, Any]] = ABSENT,
        base: int | None = None,
        if_version: int | None = None,
        reason: str | None = None,
        dry_run: bool = False,
        timeout: float | None = 30.0,
    ) -> Acknowledged[S]:
        """Changes the document exactly once, by one of `patch`, `merge`, `replace` and `intents`.

        Mutations take effect in the order of the calls, over cuts too. It returns when the change is durable, and
        raises what the server refuses it for, or `Indeterminate` when there is no answer in `timeout` seconds: it is
        still on its way then. `Unavailable` says that so many wait for their answers that this one was not sent.
        """
        given = {
            "patch": patch if patch is ABSENT else list(patch),
            "merge": merge,
            "replace": replace if replace is ABSENT else self._shape.write(replace),
            "intents": intents if intents is ABSENT else list(intents),
        }
        change = {kind: value for kind, value in given.items() if value is not ABSENT}
        if len(change) != 1:
            raise ValueError("a mutation is exactly one of `patch`, `merge`, `replace` and `intents`")
        terms = {"base": base, "if_version": if_version, "reason": reason, "dry_run": dry_run or None}
        change.update({term: value for term, value in terms.items() if value is not None})
        return self._ask(change, timeout)

    def _ask(self, change: dict[str, Any], timeout: float | None) -> Acknowledged[S]:
        conversation, channel = self._session.conversation(), self._channel
        settled = Event()
        with self._session.locked():
            mutation = conversation.mutate(channel, change)
            mutation.settled = settled.set
        self._session.flush()
        if not happened(settled, timeout):
            with self._session.locked():
                was_held_back = conversation.withdraw(channel, mutation)
            if was_held_back:
                raise Unavailable("too many mutations wait for their answers; this one was not sent")
            if not mutation.is_settled:
                raise Indeterminate(f"a mutation of {channel.doc} is not answered in {timeout} seconds")
        if mutation.error is not None:
            raise mutation.error
        answer = mutation.answer or {}
        if "data" in answer:
            answer["data"] = self._shape.read(answer["data"])
        acknowledged: Acknowledged[S] = Acknowledged[Any].model_validate(answer)
        return acknowledged

    def present(self, data: Any) -> None:
        """Says to everybody at the document that this session is there, and what it is about (at most 2 KiB)."""
        with self._session.locked():
            self._session.conversation().sit(self._channel, data)
        self._session.flush()

    def absent(self) -> None:
        """Takes that back."""
        self.present(ABSENT)

    def __iter__(self) -> Iterator[Update[S]]:
        return self

    def __next__(self) -> Update[S]:
        """The next version; those that nobody takes are kept up to a point, and then become one snapshot (`slow`)."""
        while True:
            self._session.until(lambda: self.has_news, None)
            with self._session.locked():
                update = self.take()
            if update is not None:
                return update

    @property
    def has_news(self) -> bool:
        """Whether there is an update that nobody took yet, or an end to be told."""
        return bool(self._channel.updates) or self._channel.failure is not None

    def take(self) -> Update[S] | None:
        """The next update that is here already, if there is one."""
        if not self._channel.updates:
            self._channel.expect_life()
            return None
        update = self._channel.updates.popleft()
        return update if isinstance(update, Deletion) else with_changed(update, data=self._shape.read(update.data))

    def leave(self) -> None:
        """Closes the document; the session goes on."""
        with self._session.locked():
            self._session.conversation().leave(self._channel, Unavailable("the document was left"))
            self._session.left(self._channel.number)
        self._session.flush()
