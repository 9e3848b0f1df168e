"""Checkpoints held against what they were made from: their bytes, the log's chain, and the state
that a replay from the first entry gives at their seq."""

from __future__ import annotations

from walvec.recovery.report import ERROR, NOTE, WARNING, Emit, Finding
from walvec.segments.saved_state import decode_state
from walvec.segments.state import State, digest
from walvec.wal.checkpoints import (
    Checkpoint,
    CheckpointUnusable,
    checkpoint_seqs,
    read_checkpoint,
)
from walvec.wal.log import Log

NOT_USED = "the next open for writing replaces it; until then one before it is used, or none"


class CheckpointInspection:
    """The checkpoints of a log as they are at the beginning of a walk along its entries."""

    def __init__(self, log: Log, emit: Emit) -> None:
        self._emit = emit
        self._waiting: dict[int, Checkpoint] = {}
        self._compared: list[int] = []
        with log.reading() as txn:
            try:
                seqs = checkpoint_seqs(log, txn)
            except CheckpointUnusable as fault:
                emit(Finding(WARNING, "checkpoints", str(fault), NOT_USED))
                return
            for seq in reversed(seqs):
                try:
                    checkpoint, body = read_checkpoint(log, txn, seq)
                    decode_state(body)
                except (CheckpointUnusable, ValueError) as fault:
                    emit(Finding(WARNING, _name(seq), f"cannot be used: {fault}", NOT_USED))
                else:
                    self._waiting[seq] = checkpoint

    def compare(self, seq: int, chain: bytes, state: State) -> None:
        """Hold the checkpoint at the entry `seq`, if there is one, against the replay up to it."""
        checkpoint = self._waiting.pop(seq, None)
        if checkpoint is None:
            return
        self._compared.append(seq)
        found = digest(state)
        if (checkpoint.position.chain, checkpoint.state_digest) != (chain, found):
            what = (
                f"holds the state {checkpoint.state_digest.hex()}, "
                f"and a replay of the log gives {found.hex()}"
            )
            next_step = "report this as a bug of walvec, with the store's log"
            self._emit(Finding(ERROR, _name(seq), what, next_step))

    def finish(self) -> str:
        """Report what the walk did not reach; what was compared."""
        for seq in self._waiting:
            what = "was not compared with a replay: the log is damaged before it"
            self._emit(Finding(NOTE, _name(seq), what, "keep it until the log is restored"))
        seqs = ", ".join(map(str, self._compared)) or "none"
        return f"the checkpoints at entries {seqs} with the state replayed up to them"


def _name(seq: int) -> str:
    return f"checkpoint at entry {seq}"
