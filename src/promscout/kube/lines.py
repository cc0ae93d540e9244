"""Cuts a stream of bytes into whole lines."""

from __future__ import annotations


class LineBlocks:
    """Gives the lines of a stream in blocks of as many whole lines as came together.

    Guarantees: no line is cut, lost or repeated; what follows the last line feed is kept for later, and is a line only
    when its line feed comes. Of each chunk at most the first and the last line are copied.
    """

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self.waiting = 0
        """Bytes of the line that is not complete yet."""

    def feed(self, chunk: bytes) -> list[bytes | memoryview]:
        """The whole lines that ``chunk`` completes, each with its line feed."""
        end = chunk.rfind(b"\n") + 1
        blocks: list[bytes | memoryview] = []
        start = 0
        if end and self._rest:
            start = chunk.index(b"\n") + 1
            blocks.append(b"".join((*self._rest, chunk[:start])))
            self._rest, self.waiting = [], 0
        if start < end:
            blocks.append(memoryview(chunk)[start:end])
        if end < len(chunk):
            self._rest.append(chunk[end:])
            self.waiting += len(chunk) - end
        return blocks
