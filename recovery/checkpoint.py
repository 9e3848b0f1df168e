"""Where a fold starts: the newest checkpoint that matches its digests and the log, or entry one.

The entries before a checkpoint that is used are not read. Damage among them is found where
their rows are read, and by verify.
"""

from __future__ import annotations

from walvec.segments.files import logger
from walvec.segments.saved_state import decode_state
from walvec.segments.state import State
from walvec.wal.checkpoints import CheckpointUnusable, checkpoint_seqs, read_checkpoint
from walvec.wal.log import Log, Position


def newest_state(log: Log, until: int | None = None) -> tuple[State, Position] | None:
    """The newest saved state that is not after the entry `until` (None: of all), and its position.

    One that cannot be used is named in a warning, and the one before it is tried. None where
    none is left: replay from the first entry. Payloads are not read.
    """
    with log.reading() as txn:
        try:
            seqs = checkpoint_seqs(log, txn)
        except CheckpointUnusable as fault:
            logger.warning("%s: %s; the log is replayed from its first entry", log.folder, fault)
            return None
        wanted = [seq for seq in seqs if until is None or seq <= until]
        for place, seq in enumerate(wanted, 1):
            try:
                checkpoint, body = read_checkpoint(log, txn, seq)
                return _decoded(checkpoint.position, body), checkpoint.position
            except CheckpointUnusable as fault:
                then = f"the one at entry {wanted[place]}" if place < len(wanted) else "none"
                logger.warning(
                    "the checkpoint at entry %d of %s is not used: %s; the next to be tried is %s",
                    *(seq, log.folder, fault, then),
                )
    if wanted:
        logger.warning("no checkpoint of %s can be used: the log is replayed whole", log.folder)
    return None


def _decoded(position: Position, body: memoryview) -> State:
    try:
        state = decode_state(body)
    except ValueError as error:
        raise CheckpointUnusable(str(error)) from error
    if (state.seq, state.timestamp) != (position.seq, position.timestamp):
        raise CheckpointUnusable(f"it holds the state after entry {state.seq}")
    return state
