"""Reading a log from its first entry to its last, damaged or not, and folding it on the way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from blake3 import blake3

from walvec.recovery.checkpoint_inspection import CheckpointInspection
from walvec.recovery.payload_inspection import payload_faults
from walvec.recovery.report import ERROR, NOTE, Emit, Finding, Pin, Progress
from walvec.segments.apply import apply
from walvec.segments.check import check
from walvec.segments.state import State, digest
from walvec.wal.entry import (
    CHAINED,
    DIGEST_SIZE,
    GENESIS,
    HEADER,
    Header,
    check_payload,
    decode_header,
    payload_view,
)
from walvec.wal.errors import FormatException, LogCorruptedException, MilvusException
from walvec.wal.events import Event, RowsDeleted, RowsInserted, decode_body
from walvec.wal.log import KEY, Log

CHUNK_ENTRIES = 4096
CHUNK_BYTES = 64 << 20
"""One read transaction reads this much, so that a slow reader pins no pages."""
RESTORE = "everything before it can be read and nothing was cut: restore the log from a copy"


class LogInspection:
    """One walk. `state` is the fold up to the end or, where the log is not `whole`, up to the entry
    before the first that cannot be trusted. `damaged_payloads` are seqs."""

    def __init__(self, log: Log, pins: Sequence[Pin], emit: Emit, progress: Progress) -> None:
        self.log = log
        self.state = State()
        self.chain = GENESIS
        self.seq = self.entries = self.rows = self.deletes = 0
        self.payloads = self.payload_bytes = 0
        self.damaged_payloads: set[int] = set()
        self.compared: list[str] = []
        self._db = log.env.open_db(b"entries", create=False)
        self._emit = emit
        self._checkpoints = CheckpointInspection(log, emit)
        self._progress = progress
        self._pins = {pin.seq: pin for pin in pins}
        # The chains that the next entry may continue: one, but for damage before it.
        self._chains: tuple[bytes, ...] = (GENESIS,)
        self._timestamp = 0
        self.whole = True
        self._last_key = b""

    def run(self) -> None:
        """Read what follows the last entry read, up to the end of the log."""
        with self.log.reading() as txn:
            total = self.log.last_seq(txn)
        while self._read_chunk():
            self._progress(self.seq, max(total, self.seq))
        self._progress(self.seq, max(total, self.seq))

    def finish(self) -> None:
        """Report what is known only when everything was read."""
        if not self.seq:
            self._error("log", "it has no entries", "restore the log from a copy")
        for pin in self._pins.values():
            what = f"a pin names seq {pin.seq}, and the log was readable up to {self.state.seq}"
            self._error("pin", what, "the log has lost entries: restore it from a copy")
        if not self.compared:
            self.compared.append(
                f"the state folded from zero to seq {self.state.seq} with nothing: no pin was given"
            )
        self.compared.append(self._checkpoints.finish())

    def _read_chunk(self) -> bool:
        """Read one chunk; False at the end of the log."""
        with self.log.reading() as txn, txn.cursor(db=self._db) as cursor:
            found = cursor.set_range(self._last_key) if self._last_key else cursor.first()
            if found and bytes(cursor.key()) == self._last_key:
                found = cursor.next()
            read = size = 0
            while found:
                key, value = cursor.item()
                self._last_key = bytes(key)
                self._read(self._last_key, value)
                read += 1
                size += len(value)
                if read == CHUNK_ENTRIES or size > CHUNK_BYTES:
                    return True
                found = cursor.next()
        return False

    def _read(self, key: bytes, value: Any) -> None:
        if len(key) != KEY.size:
            self._error("log", f"a key of {len(key)} bytes, {key[:32]!r}", RESTORE)
            return
        seq = KEY.unpack(key)[0]
        if seq != self.seq + 1:
            self._missing(self.seq + 1, seq - 1)
        self.seq = seq
        self.entries += 1
        header_and_body = self._header(seq, value)
        if header_and_body is None:
            self.whole = False
            return
        header, body = header_and_body
        event = self._event(header, body)
        if event is None:
            self.whole = False
            return
        self._payload(header, event, value)
        if self.whole:
            self.whole = self._fold(header, event)
        if self.whole:
            self.chain = header.chain
            self._compare_pin(seq)
            self._checkpoints.compare(seq, self.chain, self.state)

    def _missing(self, first: int, last: int) -> None:
        name = f"log entry {first}" if first == last else f"log entries {first} to {last}"
        self._error(name, "missing", RESTORE)
        self.whole, self._chains = False, ()

    def _header(self, seq: int, value: Any) -> tuple[Header, bytes] | None:
        """Header and body of an entry; None where they cannot be trusted."""
        damage: MilvusException | None = None
        for chain in self._chains or (None,):
            try:
                header, body = decode_header(seq, value, chain)
            except (LogCorruptedException, FormatException) as error:
                damage = damage or error
                continue
            self._chains = (header.chain,)
            return header, body
        assert damage is not None
        self._error(f"log entry {seq}", damage.message.partition(";")[0], RESTORE)
        self._chains = tuple(_chains_after(value, self._chains))
        if not self._chains:
            what = "its chain was not checked: the entry before it is unreadable"
            self._emit(Finding(NOTE, f"log entry {seq + 1}", what))
        return None

    def _event(self, header: Header, body: bytes) -> Event | None:
        subject = f"log entry {header.seq}"
        if header.timestamp < self._timestamp:
            what = f"timestamp {header.timestamp} is before the previous one, {self._timestamp}"
            self._error(subject, what, RESTORE)
        self._timestamp = header.timestamp
        try:
            return decode_body(header.kind, header.version, header.collection, body)
        except FormatException as error:
            self._error(subject, error.message, "use a newer walvec")
        except (ValueError, TypeError) as error:
            self._error(subject, f"its body cannot be read: {error}", RESTORE)
        return None

    def _payload(self, header: Header, event: Event, value: Any) -> None:
        subject = f"log entry {header.seq} ({type(event).__name__})"
        payload = payload_view(header, value)
        self.payload_bytes += header.payload_length
        if isinstance(event, RowsInserted):
            self.rows += event.n
        elif isinstance(event, RowsDeleted):
            self.deletes += event.n
        try:
            check_payload(header, payload)
        except LogCorruptedException as error:
            self.damaged_payloads.add(header.seq)
            self._error(subject, error.message.partition(";")[0], RESTORE)
            return
        self.payloads += header.payload_length > 0
        collection = self.state.collections.get(event.collection) if self.whole else None
        schema = None if collection is None else collection.schema
        for fault in payload_faults(event, payload, schema):
            self._error(subject, fault, "report this as a bug of walvec, with the store's log")

    def _fold(self, header: Header, event: Event) -> bool:
        try:
            check(self.state, event)
        except MilvusException as refusal:
            subject = f"log entry {header.seq} ({type(event).__name__})"
            self._error(subject, f"cannot follow what is before it: {refusal.message}", RESTORE)
            return False
        apply(self.state, header.seq, header.timestamp, event)
        return True

    def _compare_pin(self, seq: int) -> None:
        pin = self._pins.pop(seq, None)
        if pin is None:
            return
        self.compared.append(f"chain and state digest after seq {seq} with a pin")
        if pin.digest not in (self.chain, digest(self.state)):
            what = (
                f"neither the chain {self.chain.hex()} nor the state digest "
                f"{digest(self.state).hex()} is the pinned {pin.digest.hex()}"
            )
            self._error(f"log entry {seq}", what, "this is another log than the pinned one")

    def _error(self, subject: str, what: str, next_step: str) -> None:
        self._emit(Finding(ERROR, subject, what, next_step))


def _chains_after(value: Any, before: Sequence[bytes]) -> Iterator[bytes]:
    """What the entry after a damaged one may be chained to: the chain as stored, if the damage is
    elsewhere, and the chain as computed, if it is the chain that was damaged."""
    if len(value) < HEADER.size:
        return
    yield bytes(value[CHAINED : HEADER.size])
    body_length = HEADER.unpack_from(value)[6]
    covered = bytes(value[:CHAINED]) + bytes(value[HEADER.size : HEADER.size + body_length])
    for chain in before:
        yield blake3(chain + covered).digest(DIGEST_SIZE)
