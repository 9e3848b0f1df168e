"""A set of seqs, a bit each: a log has millions of entries."""

from __future__ import annotations


class SeqSet:
    """Seqs of which something is known. What several threads add at once may be forgotten."""

    def __init__(self) -> None:
        self._bits = bytearray()

    def __contains__(self, seq: int) -> bool:
        place, bit = divmod(seq, 8)
        return place < len(self._bits) and bool(self._bits[place] >> bit & 1)

    def add(self, seq: int) -> None:
        """Add one."""
        place, bit = divmod(seq, 8)
        missing = place + 1 - len(self._bits)
        if missing > 0:
            self._bits.extend(bytes(missing))
        self._bits[place] |= 1 << bit

    def clear(self) -> None:
        """Forget all."""
        self._bits = bytearray()
