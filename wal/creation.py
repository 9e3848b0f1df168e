"""Making a log: whole after any crash, or not there."""

from __future__ import annotations

import shutil
from pathlib import Path

import lmdb

from walvec.wal import failpoints
from walvec.wal.entry import GENESIS, encode_entry
from walvec.wal.environment import ENTRIES, MAX_DATABASES, MIN_MAP_SIZE_BYTES, make_missing
from walvec.wal.events import Event, encode_body
from walvec.wal.medium import sync_file
from walvec.wal.scan import KEY


def create_log(folder: Path, store_created: Event, timestamp: int) -> None:
    """Make a log whose first entry is `store_created`."""
    value, _ = encode_entry(
        previous_chain=GENESIS,
        kind=store_created.TAG,
        version=store_created.VERSION,
        more_follows=False,
        seq=1,
        timestamp=timestamp,
        collection=0,
        request=bytes(16),
        body=encode_body(store_created),
        payload=None,
    )
    _create_environment(folder, KEY.pack(1), value)


def _create_environment(folder: Path, key: bytes, value: bytes) -> None:
    """An environment with one entry: whole after any crash, or not there."""
    temporary = folder.with_name(folder.name + ".tmp")
    if temporary.exists():
        shutil.rmtree(temporary)
    temporary.mkdir(mode=0o700)
    env = lmdb.open(str(temporary), map_size=MIN_MAP_SIZE_BYTES, max_dbs=MAX_DATABASES, mode=0o600)
    # LMDB gives a folder that it opens the mode of its files.
    temporary.chmod(0o700)
    entries = env.open_db(ENTRIES)
    make_missing(env, {})
    with env.begin(write=True) as txn:
        txn.put(key, value, db=entries)
    failpoints.hit("create.half-made")
    env.sync(True)
    env.close()
    sync_file(temporary / "data.mdb")
    sync_file(temporary)
    failpoints.hit("create.before-rename")
    temporary.rename(folder)
    failpoints.hit("create.after-rename")
    sync_file(folder.parent)
