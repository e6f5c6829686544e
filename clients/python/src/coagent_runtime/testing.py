"""A pytest plugin: the `runtime` fixture is a real `coagent` on a free port, with a folder of its own.

It starts the binary that `COAGENT_BIN` names, or `coagent` of the `PATH`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import AsyncClient, Client

_READY = "listening on "
# Seconds after which a server that does not say that it is ready never will.
_PATIENCE = 60.0


class Runtime:
    """A running server. `url` stays the same over restarts, and so does what it stores."""

    def __init__(self, home: Path, binary: str | None = None) -> None:
        self.home = home
        self.agents = home / "agents"
        self.agents.mkdir(parents=True, exist_ok=True)
        self._binary = binary or _binary()
        self._listen = "127.0.0.1:0"
        self._process: subprocess.Popen[str] | None = None
        self.log: list[str] = []
        self.url = ""

    def start(self) -> None:
        """Starts it, and returns when it is ready."""
        store = f"sqlite:{self.home / 'coagent.db'}"
        command = [self._binary, "serve", "--listen", self._listen, "--agents", str(self.agents), "--store", store]
        ready = threading.Event()
        process = subprocess.Popen(command, cwd=self.home, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        self._process = process
        # Read to its end: a pipe that is full would stop the server.
        threading.Thread(target=self._listen_to, args=(process, ready), daemon=True).start()
        if not ready.wait(_PATIENCE) or process.poll() is not None:
            self.kill()
            raise RuntimeError("coagent did not start:\n" + "\n".join(self.log))

    def stop(self) -> None:
        """Lets it end in good order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it in the middle of whatever it does, as a crash would."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """A crash, and a new process on the same store and address."""
        self.kill()
        self.start()

    def client(self) -> Client:
        return Client(self.url)

    def async_client(self) -> AsyncClient:
        return AsyncClient(self.url)

    def _end(self, with_signal: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(with_signal)
            self._process.wait()
            self._process = None

    def _listen_to(self, process: subprocess.Popen[str], ready: threading.Event) -> None:
        assert process.stderr is not None
        with process.stderr as lines:
            for line in lines:
                self.log.append(line.rstrip())
                if line.startswith(_READY):
                    self.url = line.removeprefix(_READY).strip()
                    self._listen = self.url.removeprefix("http://")
                    ready.set()
        process.wait()
        ready.set()


def _binary() -> str:
    found = os.environ.get("COAGENT_BIN") or shutil.which("coagent")
    if found is None:
        raise RuntimeError("name the runtime's binary in COAGENT_BIN, or put `coagent` on the PATH")
    return found


@pytest.fixture
def runtime_agents() -> dict[str, str]:
    """The definitions of the `runtime` fixture, by file name; override it to have some."""
    return {}


@pytest.fixture
def runtime(tmp_path: Path, runtime_agents: dict[str, str]) -> Iterator[Runtime]:
    """A runtime for one test, gone with its data afterwards."""
    started = Runtime(tmp_path / "coagent")
    for name, text in runtime_agents.items():
        (started.agents / name).write_text(text)
    started.start()
    yield started
    started.stop()
