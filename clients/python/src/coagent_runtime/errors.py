"""What can go wrong, by who must react: one type for each thing a caller can tell apart.

Everything here is a `CoagentError`. A `Refused` is an answer of the server (problem details, RFC 9457); `Unavailable`
says that nothing was done; `Indeterminate` says that nobody knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar


class CoagentError(Exception):
    """The base of every error of this package."""


class Refused(CoagentError):
    """The server said no; nothing was changed.

    `code` is the stable word to decide by, `problem` the whole body. The types below are what `code` is mapped to.
    """

    codes: ClassVar[tuple[str, ...]] = ()

    def __init__(self, code: str, detail: str, problem: Mapping[str, Any], status: int | None = None) -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail
        self.problem = problem
        self.status = status

    def _int(self, member: str) -> int | None:
        value = self.problem.get(member)
        return value if isinstance(value, int) else None

    def _strings(self, member: str) -> tuple[str, ...]:
        value = self.problem.get(member)
        return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()

    @property
    def index(self) -> int | None:
        """Which item of a batch was refused."""
        return self._int("index")


class Invalid(Refused):
    """What was sent is malformed: a body, a patch, a name, a query or a header."""

    codes = (
        "invalid_json", "invalid_patch", "invalid_name", "invalid_query", "invalid_header", "invalid_body",
        "method_not_allowed", "unsupported_media_type",
    )  # fmt: skip


class Unauthenticated(Refused):
    """Credentials are missing or no longer valid."""

    codes = ("unauthenticated",)


class Forbidden(Refused):
    """The caller may not do this, or not at this place (`paths`)."""

    codes = ("forbidden", "forbidden_path")

    @property
    def paths(self) -> tuple[str, ...]:
        path = self.problem.get("path")
        return (path,) if isinstance(path, str) else self._strings("paths")


class NotFound(Refused):
    """There is no such document, agent or run."""

    codes = ("not_found",)


class UnknownType(NotFound):
    """No such type of documents is declared."""

    codes = ("unknown_type",)


class VersionNotFound(NotFound):
    """The document never had this version; it is at `current_version`."""

    codes = ("version_not_found",)

    @property
    def current_version(self) -> int | None:
        return self._int("version")


class Deleted(Refused):
    """The document was deleted in `version`."""

    codes = ("deleted",)

    @property
    def version(self) -> int | None:
        return self._int("version")


class Conflict(Refused):
    """Somebody else changed the same place (`paths`), and its rules refuse a merge."""

    codes: ClassVar[tuple[str, ...]] = ("conflict", "mutation_gap", "client_unknown")

    @property
    def paths(self) -> tuple[str, ...]:
        return self._strings("paths")

    @property
    def current_version(self) -> int | None:
        return self._int("version")


class TestFailed(Conflict):
    """A `test` of the patch met another value; nothing of the patch was applied."""

    __test__ = False  # or pytest takes it for one

    codes = ("test_failed",)


class TargetGone(Conflict):
    """The place to change does not exist, or not any more."""

    codes = ("target_gone",)


class VersionConflict(Refused):
    """The document is not at the version that was asked for, but at `current_version`."""

    codes = ("version_conflict",)

    @property
    def current_version(self) -> int | None:
        return self._int("version")


class AlreadyExists(Refused):
    """The document exists, at `current_version`, and was to be created."""

    codes = ("already_exists",)

    @property
    def current_version(self) -> int | None:
        return self._int("version")


class TooLarge(Refused):
    """More than is accepted, which is `limit_bytes` where it is a matter of bytes."""

    codes = ("too_large",)

    @property
    def limit_bytes(self) -> int | None:
        return self._int("limit_bytes")


@dataclass(frozen=True)
class Fault:
    """What a schema has against a value: where (a JSON pointer) and why."""

    path: str
    message: str


class SchemaInvalid(Refused):
    """The schema of the document's type refuses the result, for these `errors`."""

    codes = ("schema_invalid",)

    @property
    def errors(self) -> tuple[Fault, ...]:
        listed = self.problem.get("errors")
        items = listed if isinstance(listed, list) else []
        return tuple(
            Fault(str(item.get("path", "")), str(item.get("message", ""))) for item in items if isinstance(item, dict)
        )


class TransitionInvalid(SchemaInvalid):
    """A lifecycle field may not go from its value to the new one."""

    codes = ("transition_invalid",)


class IdempotencyMismatch(Refused):
    """The idempotency key belongs to another request."""

    codes = ("idempotency_mismatch",)


class RateLimited(Refused):
    """Too much at once. `retry_after` says in how many seconds it may be tried again."""

    codes = ("rate_limited", "overloaded", "queue_full")
    retry_after: float | None = None


class BudgetExceeded(Refused):
    """What the agent may spend in a day is spent."""

    codes = ("budget_exceeded",)


class ThreadBusy(Refused):
    """Another run, `run_id`, is live on the thread."""

    codes = ("thread_busy",)

    @property
    def run_id(self) -> str | None:
        value = self.problem.get("run_id")
        return value if isinstance(value, str) else None


class AgentInvalid(Refused):
    """The agent cannot run: its definition is broken or disabled."""

    codes = ("agent_invalid",)


class AgentPaused(Refused):
    """The agent is paused."""

    codes = ("agent_paused",)


class StorageFull(Refused):
    """The server's disk is full; nothing was acknowledged."""

    codes = ("storage_full",)


class Unavailable(CoagentError):
    """The server cannot be reached or its store is down; nothing was done."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Indeterminate(CoagentError):
    """A write was sent and its answer was lost: it may or may not have happened.

    Repeat the call with `idempotency_key` to find out: it has its effect exactly once, for 24 hours. Where there is no
    key, read before writing again.
    """

    def __init__(self, message: str, idempotency_key: str | None = None) -> None:
        super().__init__(message)
        self.idempotency_key = idempotency_key


class StreamLost(CoagentError):
    """What came broke off before its end: the events of a run, which goes on, or an export."""


class ProtocolError(CoagentError):
    """What came is not what a CoAgent Runtime says; perhaps something else answers at this address."""


def _subclasses(base: type[Refused]) -> list[type[Refused]]:
    return [base, *(found for child in base.__subclasses__() for found in _subclasses(child))]


_BY_CODE = {code: kind for kind in _subclasses(Refused) for code in kind.codes}
_BY_STATUS: dict[int, type[Refused]] = {
    400: Invalid, 401: Unauthenticated, 403: Forbidden, 404: NotFound, 409: Conflict, 410: Deleted, 413: TooLarge,
    422: SchemaInvalid, 429: RateLimited, 507: StorageFull,
}  # fmt: skip


def refusal(
    problem: Mapping[str, Any], status: int | None = None, retry_after: float | None = None
) -> Refused | Unavailable:
    """The error for what the server said, as a problem or as the rejection of a frame."""
    code = str(problem.get("code") or f"http_{status}")
    detail = str(problem.get("detail") or problem.get("message") or problem.get("error") or "")
    if code == "unavailable" or (status == 503 and code not in _BY_CODE):
        return Unavailable(f"{code}: {detail}", retry_after)
    kind = _BY_CODE.get(code) or (_BY_STATUS.get(status) if status is not None else None) or Refused
    error = kind(code, detail, problem, status)
    if isinstance(error, RateLimited):
        error.retry_after = retry_after
    return error
