"""A proxy between client and server that loses things on demand."""

from __future__ import annotations

import socket
import threading
from types import TracebackType


class Proxy:
    """Passes bytes both ways until it is told otherwise."""

    def __init__(self, target: str) -> None:
        host, port = target.removeprefix("http://").split(":")
        self._target = (host, int(port))
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self._lock = threading.Lock()
        self._answers_to_drop = 0
        self._open: set[socket.socket] = set()
        self._connections: list[_Connection] = []
        self.requests: list[str] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def drop_answers(self, count: int) -> None:
        """The server gets the next writes, and the client gets a closed connection."""
        with self._lock:
            self._answers_to_drop = count

    def cut(self) -> None:
        """Ends every connection that is open."""
        with self._lock:
            connections, self._open = self._open, set()
        for connection in connections:
            _end(connection)

    def stall(self) -> None:
        """Connections that are open stay so, and nothing comes through them any more."""
        with self._lock:
            for connection in self._connections:
                connection.is_stalled = True

    def __enter__(self) -> Proxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _end(self._server)
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target)
            except OSError:
                client.close()
                continue
            connection = _Connection(self, client, server)
            with self._lock:
                self._open |= {client, server}
                self._connections.append(connection)
            threading.Thread(target=connection.forward, daemon=True).start()
            threading.Thread(target=connection.back, daemon=True).start()

    def heard(self, line: str) -> None:
        with self._lock:
            self.requests.append(line)

    def drops(self) -> bool:
        with self._lock:
            self._answers_to_drop -= 1
            return self._answers_to_drop >= 0


class _Connection:
    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._writes = False
        self.is_stalled = False

    def forward(self) -> None:
        while piece := _read(self._client):
            line = piece.split(b"\r\n", 1)[0].decode(errors="replace")
            if line.endswith("HTTP/1.1"):
                self._writes = not line.startswith("GET")
                self._proxy.heard(line)
            self._pass_on(self._server, piece)
        _end(self._server)

    def back(self) -> None:
        while piece := _read(self._server):
            if self._writes and self._proxy.drops():
                break
            if not self.is_stalled:
                self._pass_on(self._client, piece)
        _end(self._client)
        _end(self._server)

    def _pass_on(self, to: socket.socket, piece: bytes) -> None:
        try:
            to.sendall(piece)
        except OSError:
            _end(to)


def _read(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1 << 16)
    except OSError:
        return b""


def _end(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        # It has ended already.
        pass
    finally:
        connection.close()
