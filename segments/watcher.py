"""Who works behind a store is told of what happens by these calls."""

from __future__ import annotations

from collections.abc import Sequence

from walvec.segments.fold import Applied


class Watcher:
    """Someone who works behind the store, told of what happens. Called with the lock held."""

    def published(self, applied: Sequence[Applied]) -> None:
        """Events were published."""

    def restarted(self) -> None:
        """The state was read again, or rows into memory: anything may have been published."""

    def damaged(self, collection_id: int, segment_id: int, name: str) -> None:
        """A file of a segment is not as recorded, and was not used. The segment may have been
        merged or dropped meanwhile. Also called without the lock."""

    def forked(self) -> None:
        """This is a forked child, which has none of its parent's threads. Called with the lock
        held."""

    def abandon(self) -> None:
        """A forked child closes the store without having used it: let go of inherited handles."""

    def close(self) -> None:
        """The store is about to be closed. Called without the lock."""
