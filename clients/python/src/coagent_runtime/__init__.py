"""Client of CoAgent Runtime: shared, versioned documents, live; agents and their runs.

`Client` and `AsyncClient` have the same methods. `coagent_runtime.errors` lists what can go wrong.
"""

from importlib.metadata import version as _version

from . import intents
from ._async.agent import AsyncAgent
from ._async.client import AsyncClient
from ._async.document import AsyncStateDoc
from ._async.live import AsyncLiveDoc
from ._async.run import AsyncRun
from ._async.session import AsyncSession
from ._async.watch import AsyncWatch
from ._sync.agent import Agent
from ._sync.client import Client
from ._sync.document import StateDoc
from ._sync.live import LiveDoc
from ._sync.run import Run
from ._sync.session import Session
from ._sync.watch import Watch
from .errors import (
    AlreadyExists,
    CoagentError,
    Conflict,
    Deleted,
    Forbidden,
    Indeterminate,
    Invalid,
    NotFound,
    RateLimited,
    Refused,
    SchemaInvalid,
    StorageFull,
    StreamLost,
    TooLarge,
    Unauthenticated,
    Unavailable,
    VersionConflict,
)
from .models import Document, Imported, Position, Written
from .pointer import pointer
from .retry import Retry
from .runs import AgentEvent, AgentInfo, RunInfo
from .updates import Deletion, Delta, Snapshot, Update

__version__ = _version("coagent-runtime")

__all__ = [
    "Agent",
    "AgentEvent",
    "AgentInfo",
    "AlreadyExists",
    "AsyncAgent",
    "AsyncClient",
    "AsyncLiveDoc",
    "AsyncRun",
    "AsyncSession",
    "AsyncStateDoc",
    "AsyncWatch",
    "Client",
    "CoagentError",
    "Conflict",
    "Deleted",
    "Deletion",
    "Delta",
    "Document",
    "Forbidden",
    "Imported",
    "Indeterminate",
    "Invalid",
    "LiveDoc",
    "NotFound",
    "Position",
    "RateLimited",
    "Refused",
    "Retry",
    "Run",
    "RunInfo",
    "SchemaInvalid",
    "Session",
    "Snapshot",
    "StateDoc",
    "StorageFull",
    "StreamLost",
    "TooLarge",
    "Unauthenticated",
    "Unavailable",
    "Update",
    "VersionConflict",
    "Watch",
    "Written",
    "__version__",
    "intents",
    "pointer",
]
