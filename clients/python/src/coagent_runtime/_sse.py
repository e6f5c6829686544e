"""Server-sent events, read from bytes as they come (WHATWG HTML §9.2.6)."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass

_LINE_END = re.compile(r"[\r\n]")


@dataclass(frozen=True)
class ServerEvent:
    """One event: its name, its data, and the id after which a stream goes on."""

    event: str
    data: str
    id: str


class Parser:
    """Takes pieces of a stream, cut anywhere, and gives the events that are whole."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        # What came of a line that has not ended, in pieces: a snapshot is one long line.
        self._rest: list[str] = []
        self._event = ""
        self._data: list[str] = []
        self._id = ""
        self._skips_newline = False

    def feed(self, piece: bytes) -> Iterator[ServerEvent]:
        for line in self._lines(self._decoder.decode(piece)):
            if line == "":
                if (event := self._dispatched()) is not None:
                    yield event
            else:
                self._field(line)

    def _lines(self, text: str) -> Iterator[str]:
        if self._skips_newline and text:
            # The line ended with a carriage return, and its line feed is here.
            self._skips_newline = False
            text = text.removeprefix("\n")
        if "\n" not in text and "\r" not in text:
            self._rest.append(text)
            return
        whole = "".join([*self._rest, text])
        start = 0
        while (end := _line_end(whole, start)) is not None:
            yield whole[start:end]
            start = end + 1
            if whole[end] == "\r":
                if start == len(whole):
                    self._skips_newline = True
                elif whole[start] == "\n":
                    start += 1
        self._rest = [whole[start:]]

    def _field(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id = value

    def _dispatched(self) -> ServerEvent | None:
        event = ServerEvent(self._event or "message", "\n".join(self._data), self._id) if self._data else None
        self._event, self._data = "", []
        return event


def _line_end(text: str, start: int) -> int | None:
    found = _LINE_END.search(text, start)
    return found.start() if found else None
