"""Client methods on the change feed: changes, list_cursors, drop_cursor."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any
from weakref import WeakSet

from walvec.arguments import check_flag, check_seconds, check_text, check_whole
from walvec.changes import Change
from walvec.recovery.checkpoint import newest_state
from walvec.segments.feed import Feed, Scene, names_of
from walvec.segments.read_handle import database_of
from walvec.segments.store import Store
from walvec.session import Session
from walvec.telling import change_of
from walvec.wal.cursors import (
    MAX_NAME_BYTES,
    all_cursors,
    delete_cursor,
    put_cursor,
    read_cursor,
)
from walvec.wal.errors import (
    CollectionNotExistException,
    MilvusException,
    ParamError,
    StoreBrokenException,
    StoreClosedException,
)
from walvec.wal.log import Log
from walvec.wal.shown import shown
from walvec.wal.tail import Tail

MAX_SEQ = 2**63 - 1


class Teller:
    """Tells the entries of one collection, or of all. `known`: whether it was there."""

    def __init__(self, log: Log, database: str, collection: str | None) -> None:
        self.known = collection is None
        self._log = log
        self._database = database
        self._collection = collection

    def tell(self, scene: Scene) -> Change | None:
        """See Feed."""
        if self._collection is not None:
            if (self._database, self._collection) not in names_of(scene):
                return None
            self.known = True
        return change_of(self._log, scene)

    def refuse_unknown(self) -> None:
        """Raise CollectionNotExistException where the collection was never there."""
        if not self.known:
            raise CollectionNotExistException(
                message=f"no collection is called {self._collection}, nor was one after `since`: "
                "see list_collections(), or follow=True to wait for it"
            )


class Changes(Iterator[Change]):
    """The changes of a store in the order of its log, see MilvusClient.changes.

    An iterator, and a context manager. What has come to its end may be iterated again: it goes
    on with what has happened since. Any thread may call any method; two that iterate get
    each a part. No transaction is open between two changes.
    """

    def __init__(
        self,
        store: Store,
        since: int,
        database: str,
        collection: str | None,
        *,
        follow: bool,
        cursor: str | None,
        timeout_s: float | None,
    ) -> None:
        """Use MilvusClient.changes, which checks the arguments."""
        self._store = store
        self._cursor = cursor
        self._timeout_s = timeout_s
        self._pid = os.getpid()
        self._turn = threading.RLock()
        self._ended: MilvusException | None = None
        self._closed = False
        self._teller = Teller(store.log, database, collection)
        if follow or collection in database_of(store.current(), database).names:
            self._teller.known = True
        self._tail = Tail(store.log) if follow else None
        try:
            self._feed = Feed(store.log, since, self._teller.tell, newest_state, self._tail)
        except BaseException:
            self.close()
            raise

    @property
    def seq(self) -> int:
        """Up to here everything was delivered, or is not of the collection asked for."""
        return self._feed.seq

    def __next__(self) -> Change:
        if self._pid != os.getpid():
            raise StoreBrokenException(
                message="these changes were begun by the process that forked this one: call "
                "changes() in the child"
            )
        limit = self._timeout_s
        deadline = None if limit is None else time.monotonic() + limit
        with self._turn:
            if self._ended is None and not self._closed:
                try:
                    change = self._feed.next(deadline)
                except StoreClosedException as error:
                    # Of the log after the store was closed, or of the tail after `close`.
                    if not self._closed:
                        self._ended = error
                else:
                    if change is not None:
                        return change
            if self._ended is not None:
                raise self._ended
            if not self._closed:
                self._teller.refuse_unknown()
        raise StopIteration

    def ack(self, seq: int | None = None) -> int:
        """Note durably that all changes up to `seq` were dealt with: the cursor continues there.

        Without `seq` those delivered so far. Returns what is acknowledged now: a cursor never
        goes back, so it may be more. Raises ParamError without a cursor and for changes that were
        not delivered yet, ReadOnlyException, LockTimeoutException, DiskFullException.
        """
        name = self._cursor
        if name is None:
            raise ParamError(message='ack() needs a cursor: client.changes(cursor="name")')
        done = self.seq if seq is None else check_whole("seq", seq, 0, MAX_SEQ)
        if done > self.seq:
            raise ParamError(
                message=f"ack({done}): changes were delivered up to {self.seq}, the ones after it "
                "would be skipped"
            )
        if self._ended is not None:
            raise self._ended
        store = self._store
        store.refuse_unless_writable()
        with store.log.reading() as txn:
            # A cursor may begin beyond the end of the log: there is nothing to note then.
            done = min(done, store.log.last_seq(txn))
        return store.side_write(lambda txn: put_cursor(store.log, txn, name, done)).seq

    def close(self) -> None:
        """End the iteration, in whatever thread it waits, and release what it holds.

        `ack()` still notes what was delivered before.
        """
        self._closed = True
        if self._tail is not None:
            if self._pid == os.getpid():
                self._tail.close()
            else:
                self._tail.forked()

    def end(self, error: MilvusException) -> None:
        """Close; iterating raises `error` from now on."""
        if not self._closed:
            self._ended = error
        self.close()

    def __enter__(self) -> Changes:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class ChangeCalls(Session):
    """Methods that read the log as a feed of changes."""

    def changes(
        self,
        since: int = 0,
        collection: str | None = None,
        *,
        follow: bool = False,
        cursor: str | None = None,
        timeout: float | None = None,
    ) -> Changes:
        """What happened after the seq `since`, in the order of the log: see walvec.changes.

        collection: only its changes, by the name it had then in the client's database, or by an
        alias it has now. follow: wait for more, those of
        other processes too, until `timeout` seconds pass without one (None: for ever) or
        `close()` is called. cursor: go on after what `ack()` has noted under this name; `since`
        counts only until something was. What was not acknowledged is delivered again: a
        change is never skipped, and may come twice. Of several readers of one cursor each gets
        everything after the place where it began; the furthest ack counts.

        Iterating raises LogCorruptedException at a damaged entry, after all that is before it;
        StoreClosedException; CollectionNotExistException at the end where nothing ever had the
        name. Raises ParamError.
        """
        check_whole("since", since, 0, MAX_SEQ)
        check_flag("follow", follow)
        if collection is not None and not check_text("collection", collection):
            raise ParamError(message="collection '' is not a name")
        if timeout is not None:
            timeout = check_seconds("timeout", timeout)
            if not follow:
                raise ParamError(message="changes(timeout=) is for follow=True: nothing waits")
        store = self._store
        within = self._database_info("")
        if collection in within.aliases and collection not in within.names:
            collection = self.info(collection).name
        if cursor is not None:
            check_cursor_name(cursor)
            with store.log.reading() as txn:
                acknowledged = read_cursor(store.log, txn, cursor)
            since = since if acknowledged is None else acknowledged.seq
        begun = Changes(
            store, since, within.name, collection, follow=follow, cursor=cursor, timeout_s=timeout
        )
        self._begun_changes().add(begun)
        return begun

    def _begun_changes(self) -> WeakSet[Changes]:
        begun: WeakSet[Changes] = self.__dict__.setdefault("_changes", WeakSet())
        return begun

    def close(self) -> None:
        """Let go of the store; the last client of a process closes it. May be called again."""
        error = StoreClosedException(message="the client of these changes was closed")
        for begun in list(self._begun_changes()):
            begun.end(error)
        super().close()

    def list_cursors(self) -> list[dict[str, Any]]:
        """The cursors of the change feed by name: {"name", "seq", "timestamp", "behind"} each.

        seq: acknowledged; timestamp: when, ns; behind: changes after it.
        """
        log = self._store.log
        self._store.current()
        with log.reading() as txn:
            last = log.last_seq(txn)
            found = all_cursors(log, txn)
        return [{**cursor._asdict(), "behind": last - cursor.seq} for cursor in found]

    def drop_cursor(self, name: str) -> None:
        """Forget a cursor. Nothing if there is none of this name."""
        check_cursor_name(name)
        store = self._store
        store.side_write(lambda txn: delete_cursor(store.log, txn, name))


def check_cursor_name(name: Any) -> None:
    """Raise ParamError unless it is a text of 1 to 255 bytes of UTF-8."""
    if not 1 <= len(check_text("cursor", name).encode()) <= MAX_NAME_BYTES:
        raise ParamError(
            message=f"cursor {shown(name)}: a name has 1 to {MAX_NAME_BYTES} bytes of UTF-8"
        )
