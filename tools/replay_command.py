"""The command `walvec replay`: a store is folded once more, or a case judged once more."""

from __future__ import annotations

import argparse
import json
from importlib import import_module
from pathlib import Path
from typing import Any

from walvec.crashlab.cases import IMAGE, is_case, load_case
from walvec.recovery.open import LOG
from walvec.segments.counting import visible_rows
from walvec.segments.fold import Fold
from walvec.segments.state import DEFAULT_DATABASE, State, digest
from walvec.tools.log_command import seq_number
from walvec.tools.log_lines import time_text
from walvec.tools.tables import print_table
from walvec.wal.errors import MilvusException, ParamError, StoreUnusableException
from walvec.wal.log import Log

FINE = 0
EPILOG = """\
STORE is the folder of a store or of a case of the crash laboratory. A store is folded from its
first entry on, without its checkpoints, up to --to, and the state is printed; at a damaged entry
it stops and names it. Of a case the image is judged again, in a copy, and what is found stands
beside what was found when it was kept; the exit code is 1 if it still fails.

examples:
  walvec replay ./mystore
  walvec replay ./mystore --to 1200 --json
  walvec replay cases/power-ext4-0a1b2c3d"""


def looked_at(text: str) -> str:
    """The store that a command looks at: of a case, its image."""
    folder = Path(text)
    return str(folder / IMAGE) if is_case(folder) else text


def add_options(replay: argparse.ArgumentParser) -> None:
    """Those of this command alone."""
    replay.add_argument(
        "--to", dest="until", type=seq_number, metavar="SEQ", help="stop after this entry"
    )


def run(options: argparse.Namespace) -> int:
    """Print; the exit code. Raises what is wrong with the store, after the state before it."""
    folder = Path(options.store)
    if is_case(folder):
        if options.until is not None:
            raise ParamError(message="--to is for stores: a case is judged as a whole")
        # What judges a case is imported now: it is large, and stores do without.
        replay = import_module("walvec.tools.case_replay")
        code: int = replay.replay_case(load_case(folder), options.json)
        return code
    if not (folder / LOG).is_dir():
        raise StoreUnusableException(message=f"{folder} is neither a walvec store nor a case")
    data, damage = _folded(folder, options.until)
    if options.json:
        print(json.dumps(data, ensure_ascii=False))
    else:
        _print_state(data)
    if damage is not None:
        raise damage
    return FINE


def _folded(folder: Path, last: int | None) -> tuple[dict[str, Any], MilvusException | None]:
    log = Log(folder / LOG, read_only=True)
    try:
        fold = Fold()
        damage = fold.replay(log, last)
        seq = fold.position.seq
        if damage is None and last is not None and seq < last:
            raise ParamError(message=f"{folder} has no entry {last}: the last is {seq}")
        data = {
            "path": str(folder),
            "seq": seq,
            "time": time_text(fold.position.timestamp) if seq else "",
            "chain": fold.position.chain.hex(),
            "state_digest": digest(fold.state).hex(),
            "collections": _collections(log, fold.state),
            "damage": None if damage is None else damage.message,
        }
        return data, damage
    finally:
        log.close()


def _collections(log: Log, state: State) -> list[dict[str, Any]]:
    return [
        {
            "name": collection.name,
            "database": state.databases[collection.database].name,
            "rows": visible_rows(log, collection),
            "segments": len(collection.segments),
            "loaded": bool(collection.loaded),
        }
        for _, collection in sorted(state.collections.items())
    ]


def _print_state(data: dict[str, Any]) -> None:
    print(f"folded up to  seq {data['seq']}, {data['time']}".rstrip(", "))
    print(f"chain         {data['chain']}")
    print(f"state digest  {data['state_digest']}\n")
    rows = []
    for each in data["collections"]:
        prefix = "" if each["database"] == DEFAULT_DATABASE else f"{each['database']}."
        state = "Loaded" if each["loaded"] else "NotLoad"
        rows.append((prefix + each["name"], each["rows"], each["segments"], state))
    if rows:
        print_table(("collection", "rows", "segments", "load state"), rows, "rows segments")
    else:
        print("no collections")
