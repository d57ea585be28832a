"""A memory of earlier results whose size in bytes is limited, whatever clients send."""

from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

OVERHEAD = 300
"""Bytes of each entry beside its key and its value."""
SHARE = 100
"""An entry that is larger than the budget divided by this is not kept. It would take the places of many others."""


class BoundedCache(Generic[K, V]):
    """Keeps values by key, and forgets the oldest, so that all together take no more than about ``budget`` bytes.

    `get` is that of a dictionary, because it is called for every request.
    """

    def __init__(self, budget: int) -> None:
        self._budget, self._used = budget, 0
        self._entries: dict[K, V] = {}
        self._sizes: dict[K, int] = {}
        self._lock = Lock()
        self.get = self._entries.get

    def put(self, key: K, value: V, size: int) -> None:
        """Keep a value. ``size``: how many bytes the key and the value take, or a few more."""
        size += OVERHEAD
        if size > self._budget // SHARE:
            return
        with self._lock:
            if key in self._sizes:
                return
            while self._used + size > self._budget:
                oldest = next(iter(self._sizes))
                del self._entries[oldest]
                self._used -= self._sizes.pop(oldest)
            self._entries[key], self._sizes[key] = value, size
            self._used += size

    def __len__(self) -> int:
        return len(self._sizes)
