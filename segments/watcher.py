"""Who works behind a store is told of what happens by these calls."""

from __future__ import annotations

from collections.abc import Sequence

from walvec.segments.fold import Applied


class Watcher:
    """Someone who works behind the store, told of what happens. Called with the lock held."""

    def published(self, applied: Sequence[Applied]) -> None:
        """Events were published."""

    def restarted(self) -> None:
        """The state was read again: anything may have been published."""

    def damaged(self, collection_id: int, segment_id: int, name: str) -> None:
        """A file of a segment is not as recorded, and was not used."""

    def close(self) -> None:
        """The store is about to be closed. Called without the lock."""
