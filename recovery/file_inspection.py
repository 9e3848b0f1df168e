"""The files of a store: modes, strangers, and segment files against what the log says of them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from walvec.recovery.log_inspection import LogInspection
from walvec.recovery.open import OURS, SEGMENTS
from walvec.recovery.report import ERROR, NOTE, WARNING, Emit, Finding, Report
from walvec.segments.build_lock import is_being_made
from walvec.segments.caches import wanted_files, wanted_paths
from walvec.segments.files import read_columns, record_of, segment_folder
from walvec.segments.log_rows import read_segment
from walvec.segments.state import COLUMNS_FILE, Collection, FileRecord, Segment
from walvec.wal.errors import LogCorruptedException
from walvec.wal.rows import Array, Column, Rows, completed

ATTEMPTS = 3
UNFINISHED = {".tmp", ".draft"}
"""How files end that are being written; closing a store in the middle of a build leaves one."""
MADE_AGAIN = "a load of its collection makes it again from the log, or: walvec rebuild STORE"


def inspect_modes(folder: Path, emit: Emit) -> None:
    """Folders must be 0700 and files 0600: nobody else may read, and nothing is a link."""
    for path in [folder, *paths_below(folder)]:
        name = str(path.relative_to(folder)) if path != folder else str(folder)
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            continue  # A writer took it away meanwhile.
        if stat.S_ISLNK(mode):
            emit(Finding(WARNING, name, "is a symbolic link", "put the file itself there"))
        elif mode & 0o077:
            wanted = "700" if stat.S_ISDIR(mode) else "600"
            what = f"mode is 0{stat.S_IMODE(mode):o}: other users may get at it"
            emit(Finding(WARNING, name, what, f"chmod {wanted} it"))
    for path in folder.iterdir():
        if path.name not in OURS:
            emit(Finding(NOTE, path.name, "is not a file of walvec's", "keep it elsewhere"))


def paths_below(folder: Path) -> list[Path]:
    """Every file and folder below a folder, sorted, though a writer takes some away meanwhile."""

    def ignore_vanished(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error

    found = []
    for root, folders, files in os.walk(folder, onerror=ignore_vanished):
        found += [Path(root, name) for name in (*folders, *files)]
    return sorted(found)


def inspect_files(segments: Path, walk: LogInspection, report: Report, emit: Emit) -> None:
    """Hold every segment file against the state that `walk` has folded.

    A writer goes on meanwhile, so what is found counts if no entry came since; where entries
    always come, a warning becomes a note.
    """
    for _ in range(ATTEMPTS):
        seq = walk.seq
        report.files = report.file_bytes = 0
        report.compared = []
        findings = list(_segment_findings(segments, walk, report))
        findings += _orphans(segments, walk)
        walk.run()
        if walk.seq == seq:
            break
    else:
        findings = [f._replace(severity=NOTE) if f.severity == WARNING else f for f in findings]
    for finding in findings:
        emit(finding)


def _segment_findings(segments: Path, walk: LogInspection, report: Report) -> Iterator[Finding]:
    compared = 0
    for collection in walk.state.collections.values():
        for segment in collection.segments.values():
            if not segment.sealed:
                continue
            folder = segment_folder(segments, segment.id)
            for name in wanted_files(collection):
                record = segment.files.get(name)
                subject = f"{SEGMENTS}/{folder.name}/{name}"
                if record is None:
                    what = "is not made yet; searches are exact meanwhile"
                    yield Finding(NOTE, subject, what, "it is made when the store is open")
                elif what := _difference(folder / name, record):
                    yield Finding(WARNING, subject, what, MADE_AGAIN)
                else:
                    report.files += 1
                    report.file_bytes += record.length
                    if name == COLUMNS_FILE:
                        compared += segment.rows
                        yield from _row_findings(folder / name, collection, segment, walk)
    report.compared.append(
        f"{report.files} segment files with their recorded lengths and digests, "
        f"{compared} rows in them with the log"
    )


def _difference(path: Path, record: FileRecord) -> str:
    """How a file is not as recorded; "" if it is."""
    try:
        found = record_of(path)
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if found.length != record.length:
        return f"has {found.length} bytes, not {record.length}"
    return "" if found.digest == record.digest else "does not match its digest"


def _row_findings(
    path: Path, collection: Collection, segment: Segment, walk: LogInspection
) -> Iterator[Finding]:
    """Rows of a file that is as recorded against the same rows in the log."""
    subject = f"{SEGMENTS}/{path.parent.name}/{path.name}"
    rows = read_columns(path, segment.files[COLUMNS_FILE], mapped=True)
    if rows is None:
        return
    lost = [seq for seq, _ in segment.extents if seq in walk.damaged_payloads]
    if lost:
        what = f"is whole and still holds the rows of the damaged log entries {lost}"
        yield Finding(NOTE, subject, what, "keep a copy of it")
        return
    try:
        read = read_segment(walk.log, segment.extents, collection.schema)
    except LogCorruptedException:
        return  # The walk has reported the entry.
    logged = {field.id: read.column(field.id, read.n) for field in collection.schema.fields}
    # A file may be older than the last fields of the schema.
    for fault in _row_faults(completed(rows, collection.schema), Rows(read.n, logged)):
        yield Finding(ERROR, subject, f"{fault}, though its digest is right", MADE_AGAIN)


def _row_faults(rows: Rows, logged: Rows) -> Iterator[str]:
    if rows.n != logged.n or rows.columns.keys() != logged.columns.keys():
        yield f"has {rows.n} rows of {len(rows.columns)} columns, the log {logged.n} rows"
        return
    for field_id, column in rows.columns.items():
        if not _same(column, logged.columns[field_id]):
            yield f"field {field_id} has other rows than the log"


def _same(left: Column, right: Column) -> bool:
    parts = ("values", "offsets", "valid", "inner")
    return all(_equal(getattr(left, part), getattr(right, part)) for part in parts)


def _equal(left: Array | None, right: Array | None) -> bool:
    if left is None or right is None:
        return left is right
    return left.dtype == right.dtype and np.array_equal(left, right)


def _orphans(segments: Path, walk: LogInspection) -> Iterator[Finding]:
    """Files and folders that no sealed segment wants."""
    wanted = wanted_paths(walk.state)
    orphans = []
    for path in paths_below(segments):
        if path.parent == segments:
            is_orphan = path.name not in wanted
        else:
            folder = path.relative_to(segments).parts[0]
            is_orphan = folder in wanted and path.name not in wanted[folder]
        if is_orphan:
            orphans.append(path)
    busy = bool(orphans) and is_being_made(segments)
    for path in orphans:
        subject = f"{SEGMENTS}/{path.relative_to(segments)}"
        if not walk.whole:
            what = "belongs to no segment before the damaged entry"
            yield Finding(NOTE, subject, what, "keep it until the log is restored")
        elif busy:
            yield Finding(NOTE, subject, "is being made, or waits for its removal")
        elif path.suffix in UNFINISHED:
            what = "was left by a build that was broken off"
            yield Finding(NOTE, subject, what, "the next open for writing removes it")
        else:
            what = "belongs to no segment"
            yield Finding(WARNING, subject, what, "the next open for writing removes it")
