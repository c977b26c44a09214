"""Answers, kept by what was asked: bounded by bytes, and each computed once however many wait for it."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock


class AnswerCache:
    """The answers used last, as JSON; at most `most` bytes of them and of what was asked."""

    def __init__(self, most: int = 2**28) -> None:
        self._most, self._size, self._lock = most, 0, Lock()
        self._kept: OrderedDict[str, bytes] = OrderedDict()

    def get(self, key: str) -> bytes | None:
        """The answer, or None; it counts as used now."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: str, answer: bytes) -> None:
        """Keep an answer; those unused for longest go. One that alone is too large is not kept."""
        with self._lock:
            if key in self._kept:
                self._size -= len(key) + len(self._kept.pop(key))
            if len(key) + len(answer) > self._most:
                return
            self._kept[key] = answer
            self._size += len(key) + len(answer)
            while self._size > self._most:
                oldest, gone = self._kept.popitem(last=False)
                self._size -= len(oldest) + len(gone)

    def __len__(self) -> int:
        return len(self._kept)
