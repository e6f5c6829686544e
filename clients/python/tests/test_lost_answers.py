"""Writes whose answers are lost, servers that are slow or not there; with both clients."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from coagent_runtime import Client, Conflict, Indeterminate, RateLimited, Retry, Unavailable, intents
from coagent_runtime.testing import Runtime

from .conftest import QUICK, Connect
from .proxy import Proxy


@pytest.fixture
def through(proxy: Proxy, connect: Connect) -> Client:
    return connect(proxy.url)


def test_a_write_whose_answer_is_lost_is_asked_about_until_it_is_known(
    client: Client, through: Client, proxy: Proxy
) -> None:
    doc = through.state("shared", "a")
    doc.put({"n": 0})
    proxy.drop_answers(3)
    written = doc.intents([intents.inc("/n")])
    assert (written.version, written.duplicate) == (2, True)
    assert client.state("shared", "a").get().data == {"n": 1}
    proxy.drop_answers(1)
    doc.delete()
    assert [commit.version for commit in client.state("shared", "a").commits()] == [1, 2, 3]


def test_when_all_answers_are_lost_the_outcome_is_indeterminate_and_its_key_tells_it(
    client: Client, through: Client, proxy: Proxy
) -> None:
    doc = through.state("shared", "a")
    doc.put({"n": 0})
    proxy.drop_answers(QUICK.attempts)
    with pytest.raises(Indeterminate) as lost:
        doc.intents([intents.inc("/n")])
    key = lost.value.idempotency_key
    assert key
    known = doc.intents([intents.inc("/n")], idempotency_key=key)
    assert (known.version, known.duplicate) == (2, True)
    assert client.state("shared", "a").get().data == {"n": 1}


def test_one_attempt_alone_never_repeats(proxy: Proxy, client: Client, connect: Connect) -> None:
    client.state("shared", "a").put({"n": 0})
    once = connect(proxy.url, retry=Retry(attempts=1)).state("shared", "a")
    proxy.drop_answers(1)
    with pytest.raises(Indeterminate):
        once.intents([intents.inc("/n")])
    assert len([line for line in proxy.requests if line.startswith("PATCH")]) == 1


def test_a_write_that_cannot_be_repeated_is_not(client: Client, through: Client, proxy: Proxy) -> None:
    client.state("shared", "a").put({"n": 0})
    proxy.drop_answers(1)
    with pytest.raises(Indeterminate) as lost:
        through.state("shared", "a").tag("now")
    assert lost.value.idempotency_key is None
    assert len([line for line in proxy.requests if line.startswith("POST")]) == 1


def test_a_refusal_after_a_lost_answer_is_the_truth(client: Client, through: Client, proxy: Proxy) -> None:
    client.state("shared", "a").put({"n": 0})
    proxy.drop_answers(1)
    with pytest.raises(Conflict):
        through.state("shared", "a").patch([{"op": "test", "path": "/n", "value": 5}])


def test_a_write_that_was_lost_and_then_meets_a_dead_server_stays_indeterminate(
    runtime: Runtime, through: Client, proxy: Proxy
) -> None:
    doc = through.state("shared", "a")
    doc.put({"n": 0})
    runtime.kill()
    with pytest.raises(Indeterminate):
        # The proxy takes the connection and ends it: nobody knows how far the request came.
        doc.put({"n": 1})
    runtime.start()


def test_a_server_that_is_not_there_is_unavailable_and_nothing_was_done(runtime: Runtime, connect: Connect) -> None:
    doc = connect(runtime.url, retry=QUICK).state("shared", "a")
    runtime.kill()
    with pytest.raises(Unavailable):
        doc.put({})
    with pytest.raises(Unavailable):
        doc.get()
    runtime.start()


def test_a_call_waits_for_a_server_that_comes_back(runtime: Runtime, connect: Connect) -> None:
    doc = connect(runtime.url, retry=Retry(attempts=1000, base=0.02, cap=0.05)).state("shared", "a")
    doc.put({"n": 1})
    runtime.kill()
    back = threading.Thread(target=runtime.start)
    back.start()
    assert doc.merge({"n": 2}).version == 2
    back.join()


@contextmanager
def _answering(*answers: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """A server that answers these in turn, one a connection; the requests it got."""
    server = socket.create_server(("127.0.0.1", 0))
    heard: list[bytes] = []

    def serve() -> None:
        for answer in answers:
            try:
                connection, _ = server.accept()
            except OSError:
                # Nobody asks any more.
                return
            with connection:
                heard.append(connection.recv(1 << 16))
                if answer:
                    connection.sendall(answer)
                else:
                    # Silent until the client has had enough.
                    connection.recv(1 << 16)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}", heard
    finally:
        # Wakes whoever accepts, which closing does not.
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        server.close()


def _answer(status: str, body: str, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", "Connection: close", *headers]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", body]).encode()


_DONE = _answer("200 OK", '{"epoch":"e","version":7}')
_BUSY = '{"code":"rate_limited","detail":"too much"}'


def test_a_slow_server_costs_a_timeout_and_another_attempt(connect: Connect) -> None:
    with _answering(b"", _DONE) as (url, heard):
        assert connect(url, timeout=0.3).state("shared", "a").put({}).version == 7
    keys = [line for request in heard for line in request.split(b"\r\n") if line.lower().startswith(b"idempotency")]
    assert len(keys) == 2
    assert len(set(keys)) == 1


def test_a_server_that_asks_for_patience_gets_it(connect: Connect) -> None:
    busy = _answer("429 Too Many Requests", _BUSY, "Retry-After: 0")
    down = _answer("503 Service Unavailable", '{"code":"unavailable","detail":"store"}')
    with _answering(busy, down, _answer("504 Gateway Timeout", "<html>"), _DONE) as (url, _):
        assert connect(url).state("shared", "a").put({}).version == 7


def test_a_server_that_asks_for_more_patience_than_there_is_says_how_much(connect: Connect) -> None:
    with _answering(_answer("429 Too Many Requests", _BUSY, "Retry-After: 60")) as (url, _):
        with pytest.raises(RateLimited) as busy:
            connect(url).state("shared", "a").put({})
        assert busy.value.retry_after == 60


def test_an_answer_that_breaks_off_is_a_lost_answer(connect: Connect) -> None:
    broken = _DONE[:-5]
    with _answering(broken, _DONE) as (url, _):
        assert connect(url).state("shared", "a").put({}).version == 7
