"""Exports of documents and bringing them back, with both clients against the real binary."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coagent_runtime import AlreadyExists, Client, StreamLost
from coagent_runtime.errors import UnknownType
from coagent_runtime.testing import Runtime

from .conftest import Connect
from .proxy import Proxy


def test_an_export_brings_documents_back_with_their_histories_and_tags(client: Client) -> None:
    for name in ("a", "b", "other"):
        doc = client.state("shared", name)
        doc.put({"n": 1})
        doc.merge({"n": 2}, reason="more")
    client.state("shared", "a").tag("reviewed", 1)
    client.state("shared", "b").delete()
    lines = list(client.export("shared", prefix=""))
    with pytest.raises(AlreadyExists):
        client.restore(lines)
    assert client.restore(lines, skip_existing=True).skipped == ("shared/a", "shared/b", "shared/other")


def test_what_is_restored_elsewhere_is_what_was_exported(client: Client, connect: Connect, tmp_path: Path) -> None:
    doc = client.state("shared", "a/ä")
    doc.put({"n": 1})
    doc.merge({"n": 2}, reason="more")
    doc.tag("reviewed", 1)
    saved = b"".join(client.export("shared", prefix="a/"))
    elsewhere = Runtime(tmp_path / "elsewhere")
    elsewhere.start()
    try:
        other = connect(elsewhere.url)
        assert other.restore(saved).documents == 1
        again = other.state("shared", "a/ä")
        assert (again.get().version, again.get().data) == (2, {"n": 2})
        assert again.get().epoch != doc.get().epoch
        assert [commit.reason for commit in again.commits()] == [None, "more"]
        assert [(tag.name, tag.version) for tag in again.tags()] == [("reviewed", 1)]
    finally:
        elsewhere.stop()


def test_an_export_comes_line_by_line_however_long_they_are(client: Client) -> None:
    for n in range(4):
        client.state("shared", f"long-{n}").put({"text": "x" * 300_000})
    kinds = [next(iter(json.loads(line))) for line in client.export("shared")]
    assert sorted(kinds) == ["at", *["commit"] * 4, *["document"] * 4, "end"]


def test_an_export_that_breaks_off_is_lost(runtime: Runtime, connect: Connect) -> None:
    direct = connect(runtime.url)
    for n in range(40):
        direct.state("shared", f"long-{n}").put({"text": "x" * 100_000})
    with Proxy(runtime.url) as proxy:
        lines = iter(connect(proxy.url).export("shared"))
        next(lines)
        proxy.stall()
        proxy.cut()
        with pytest.raises(StreamLost):
            list(lines)


def test_an_export_of_no_such_type_is_refused(client: Client) -> None:
    with pytest.raises(UnknownType):
        list(client.export("nothing"))
