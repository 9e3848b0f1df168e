"""The checking process of verify: looks at everything in a store and changes nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lmdb import verify as lmdb_verify

from walvec.recovery.file_inspection import inspect_files, inspect_modes
from walvec.recovery.log_inspection import LogInspection
from walvec.recovery.open import LOG, SEGMENTS
from walvec.recovery.report import ERROR, NOTE, Emit, Finding, Pin, Progress, Report
from walvec.segments.state import digest
from walvec.wal.errors import StoreUnusableException
from walvec.wal.log import Log
from walvec.wal.medium import check_data_file

ATTEMPTS = 5
META_BYTES = 1 << 17
"""Both meta pages lie in it; every commit changes one of them."""
MAX_PAGE_FINDINGS = 20
RESTORE = "restore the log from a copy"


def main() -> None:
    """Inspect the store that the arguments name, see verify.py for what goes to stdout."""
    folder, *texts = sys.argv[1:]
    pins = []
    for text in texts:
        seq, _, value = text.partition(":")
        pins.append(Pin(int(seq), bytes.fromhex(value)))

    def say(*content: Any) -> None:
        sys.stdout.write(json.dumps(content) + "\n")
        sys.stdout.flush()

    try:
        report = inspect(
            Path(folder),
            pins,
            lambda finding: say("finding", *finding),
            lambda done, total: say("progress", done, total),
        )
    except PermissionError as error:
        next_step = "verify as the user who owns the store: the rest was not checked"
        say("finding", ERROR, str(error.filename), "cannot be read", next_step)
        return
    data = report.to_data()
    say("report", {name: value for name, value in data.items() if name != "ok"})


def inspect(folder: Path, pins: Sequence[Pin], emit: Emit, progress: Progress) -> Report:
    """Look at everything in the order in which damage may end this process."""
    report = Report(str(folder))
    inspect_modes(folder, emit)
    data = folder / LOG / "data.mdb"
    try:
        report.log_bytes = data.stat().st_size
        check_data_file(data)
    except (StoreUnusableException, OSError) as error:
        emit(Finding(ERROR, f"{LOG}/data.mdb", _text(error), RESTORE))
        return report
    _inspect_pages(data, emit)
    try:
        log = Log(folder / LOG, read_only=True)
    except StoreUnusableException as error:
        emit(Finding(ERROR, f"{LOG}/data.mdb", error.message, RESTORE))
        return report
    try:
        walk = LogInspection(log, pins, emit, progress)
        walk.run()
        inspect_files(folder / SEGMENTS, walk, report, emit)
        walk.finish()
        _sum_up(walk, report)
    finally:
        log.close()
    return report


def _inspect_pages(data: Path, emit: Emit) -> None:
    """The structure of LMDB's pages, read as a plain file.

    A commit during the check makes pages look wrong, so it counts only between two equal looks
    at the meta pages.
    """
    for _ in range(ATTEMPTS):
        before = _meta_pages(data)
        try:
            problems = lmdb_verify.verify(str(data))
        except lmdb_verify.VerifyError as error:
            problems = [str(error)]
        if not problems:
            return
        if _meta_pages(data) == before:
            break
    else:
        what = "their structure was not checked: another process kept writing"
        emit(Finding(NOTE, "log pages", what, "verify again when nobody writes"))
        return
    for problem in problems[:MAX_PAGE_FINDINGS]:
        emit(Finding(ERROR, "log pages", problem, RESTORE))
    if len(problems) > MAX_PAGE_FINDINGS:
        more = f"{len(problems) - MAX_PAGE_FINDINGS} more problems of structure"
        emit(Finding(ERROR, "log pages", more, "python -m lmdb verify names them"))


def _meta_pages(data: Path) -> bytes:
    with data.open("rb") as file:
        return file.read(META_BYTES)


def _sum_up(walk: LogInspection, report: Report) -> None:
    report.store_id = walk.state.store_id.hex()
    report.last_seq = walk.seq
    report.entries, report.rows = walk.entries, walk.rows
    report.payload_bytes = walk.payload_bytes
    report.chain = walk.chain.hex()
    report.state_seq = walk.state.seq
    report.state_digest = digest(walk.state).hex()
    report.compared = [
        f"{walk.entries} entries with their chain, {walk.payloads} payloads with their digests",
        f"{walk.rows} rows and {walk.deletes} deletes with their events and schemas",
        *walk.compared,
        *report.compared,
    ]


def _text(error: Exception) -> str:
    return error.message if isinstance(error, StoreUnusableException) else str(error)


if __name__ == "__main__":
    main()
