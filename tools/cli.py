"""The command line: walvec demo, info, log, explain, verify, rebuild, replay, crashlab."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from walvec.recovery.rebuild import rebuild
from walvec.recovery.report import Pin, Report
from walvec.recovery.verify import verify
from walvec.tools import crashlab_command, explain_command, log_command, replay_command
from walvec.tools.demo import run_demo
from walvec.tools.info import print_info, store_info
from walvec.tools.tables import print_table, progress_bar, size_text
from walvec.wal.entry import DIGEST_SIZE
from walvec.wal.errors import MilvusException

FINE, FINDINGS, USAGE, INTERRUPTED = 0, 1, 2, 130

DESCRIPTION = """\
walvec is an embedded, durable vector store whose write-ahead log is the database.

A store is a folder. demo and rebuild write to one; info, log, explain, verify and replay change
nothing in it, and may be used while a program has it open. crashlab makes stores of its own, and
tries to break them."""
EPILOG = """\
examples:
  walvec demo                          see it work on real data, in under a minute
  walvec info ./mystore                what a store holds
  walvec log ./mystore --tail          what happened last
  walvec explain ./mystore docs --filter 'year > 2000'    how its rows are found
  walvec verify ./mystore --json       is everything as it was written?
  walvec replay ./mystore --to 100     what it held after the entry 100
  walvec crashlab run --budget 20s     does it keep its promises when it is stopped anywhere?

exit codes: 0 fine, 1 findings or an error of the store, 2 wrong usage"""
VERIFY_EPILOG = """\
Read are every page and entry of the log (chain, digests, bodies, rows), the state folded from
the first entry on, and every segment file. Errors are damage to the log: data is lost or not
what was written. Warnings are damage to files that are made again from the log, or modes that
let other users in. Notes are neither, and leave the exit code 0.

A pin compares the log with what you wrote down earlier: the chain or the state digest that
`walvec info` showed at that seq. Without one a log replaced as a whole is not noticed.

examples:
  walvec verify ./mystore
  walvec verify ./mystore --pin 1234:0f5c7f6f2f1de0b5a6f9d0c0a5e1b2c3"""
REBUILD_EPILOG = """\
All segment and index files are deleted and made again from the log. No program may have the
store open for writing. It may be interrupted at any moment; searches do without the files that
are missing, and give exact results.

example:
  walvec rebuild ./mystore"""
DEMO_EPILOG = """\
4,000 Debian packages are ingested, flushed, indexed, loaded and searched; then a process that
inserts is killed, and the store is opened again. Without FOLDER the store is made in a temporary
folder, which is removed at the end. FOLDER must be new, empty, or the store of a former demo.

examples:
  walvec demo
  walvec demo ./demo-store && walvec info ./demo-store"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code. Without `arguments` those of the process are used."""
    _replace_closed_streams()
    parser = _parser()
    options = parser.parse_args(arguments)
    if getattr(options, "last", None) is not None and options.last < options.first:
        parser.error(f"--from {options.first} is after --to {options.last}")
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except MilvusException as error:
        return _fail(error.message)
    except BrokenPipeError:
        # Whoever read the output has seen enough. Python would complain at exit.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FINE
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""  # none where it is the output
        return _fail(f"{place}{error.strerror or error}")
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _replace_closed_streams() -> None:
    """Python has None for an output that was closed by the shell (`>&-`)."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115


def _fail(message: str) -> int:
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
    print(f"walvec: {message}", file=sys.stderr)
    return FINDINGS


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "walvec", None, DESCRIPTION, EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"walvec {version('walvec')}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, title="commands")
    demo = _command(commands, "demo", _demo, "show the store at work on real data", DEMO_EPILOG)
    demo.add_argument("folder", nargs="?", metavar="FOLDER", help="where to keep the store")
    info = _command(commands, "info", _info, "say what a store holds")
    what = "print the log, one line an event"
    log = _command(commands, "log", log_command.run, what, log_command.EPILOG)
    how = "say how a query or a search finds its rows"
    explain = _command(commands, "explain", explain_command.run, how, explain_command.EPILOG)
    check = _command(commands, "verify", _verify, "check everything in a store", VERIFY_EPILOG)
    again = _command(commands, "rebuild", _rebuild, "make all segment files anew", REBUILD_EPILOG)
    fold = "fold a store from its first entry on, or judge a case of crashlab"
    replay = _command(commands, "replay", replay_command.run, fold, replay_command.EPILOG)
    break_it = "stop stores everywhere, and judge what is found"
    crashlab_command.add_command(
        _command(commands, "crashlab", None, break_it, crashlab_command.EPILOG)
    )
    for command in (info, log, explain, check, again, replay):
        # What is damaged is looked at, and not mended: rebuild and replay take what is said.
        kind = str if command in (again, replay) else replay_command.looked_at
        command.add_argument("store", type=kind, metavar="STORE", help="the store's folder")
        command.add_argument("--json", action="store_true", help="print JSON, for programs")
    log_command.add_options(log)
    replay_command.add_options(replay)
    explain_command.add_options(explain)
    check.add_argument(
        "--pin",
        type=_pin,
        action="append",
        default=[],
        metavar="SEQ:DIGEST",
        help="a chain or state digest that the log must have after this seq; may be repeated",
    )
    return parser


def _command(
    commands: Any, name: str, run: Any, what: str, epilog: str | None = None
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=what,
        description=f"{what[0].upper()}{what[1:]}.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def _pin(text: str) -> Pin:
    seq, _, digest = text.partition(":")
    try:
        pin = Pin(log_command.seq_number(seq), bytes.fromhex(digest))
    except ValueError:
        pin = Pin(0, b"")
    if len(pin.digest) != DIGEST_SIZE:
        raise argparse.ArgumentTypeError(f"{text!r} is not SEQ:DIGEST with 32 hex digits")
    return pin


def _demo(options: argparse.Namespace) -> int:
    run_demo(options.folder)
    return FINE


def _info(options: argparse.Namespace) -> int:
    info = store_info(options.store)
    if options.json:
        print(json.dumps(info, ensure_ascii=False))
    else:
        print_info(info)
    return FINDINGS if info["damage"] else FINE


def _verify(options: argparse.Namespace) -> int:
    with progress_bar("entries") as progress:
        report = verify(options.store, pins=options.pin, progress=progress)
    if options.json:
        print(json.dumps(report.to_data(), ensure_ascii=False))
    else:
        _print_report(report)
    return FINE if report.ok else FINDINGS


def _print_report(report: Report) -> None:
    if report.findings:
        print_table(("severity", "where", "what", "next step"), report.findings)
        print()
    for line in report.compared:
        print(f"compared: {line}")
    print(
        f"log {size_text(report.log_bytes)}, last seq {report.last_seq}, chain {report.chain}\n"
        f"state at seq {report.state_seq}: digest {report.state_digest}"
    )
    found = Counter(finding.severity for finding in report.findings)
    print("no errors and no warnings" if report.ok else _counted(found))


def _counted(found: Counter[str]) -> str:
    """ "1 error, 2 warnings"."""
    counts = [f"{n} {severity}{'s' * (n > 1)}" for severity, n in sorted(found.items())]
    return ", ".join(counts)


def _rebuild(options: argparse.Namespace) -> int:
    with progress_bar("files") as progress:
        rebuilt = rebuild(options.store, progress)
    if options.json:
        print(json.dumps(rebuilt.to_data(), ensure_ascii=False))
    else:
        print(
            f"deleted {rebuilt.deleted_files} files, {size_text(rebuilt.deleted_bytes)}\n"
            f"made {rebuilt.files} files of {rebuilt.segments} segments, "
            f"{size_text(rebuilt.file_bytes)}"
        )
        for name in rebuilt.failed:
            print(f"could not be made: {name}")
    return FINDINGS if rebuilt.failed else FINE


if __name__ == "__main__":
    raise SystemExit(main())
