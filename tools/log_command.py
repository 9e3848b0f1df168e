"""The command `walvec log`: its options, and what it prints."""

from __future__ import annotations

import argparse
import select
import signal
import sys
from pathlib import Path
from typing import NoReturn

from walvec.recovery.open import LOG
from walvec.tools.log_lines import KINDS, Choice, heading, lines_of, lines_to_come
from walvec.wal.errors import StoreUnusableException
from walvec.wal.log import Log
from walvec.wal.tail import Tail

DEFAULT_TAIL = 10
TERMINATED = 143
EPILOG = """\
One line an event: its place in the log, the time (UTC), what happened, the collection as it was
called then, rows or keys, bytes of the entry, and the first half of its chain digest, which
covers this entry and all before it; then what is particular about it. With --json one object a
line, which has every digest whole and the event's own fields. With --follow it goes on with
what programs do to the store from now on, until Ctrl-C (exit code 130) or SIGTERM (143).

examples:
  walvec log ./mystore --tail 20
  walvec log ./mystore --from 100 --to 200
  walvec log ./mystore --collection docs --kind RowsDeleted --kind RowsUpserted
  walvec log ./mystore --json | jq 'select(.rows > 1000) | .seq'
  walvec log ./mystore --follow --tail 5 --collection docs"""


def add_options(log: argparse.ArgumentParser) -> None:
    """Those of this command alone."""
    log.add_argument(
        "--from", dest="first", type=seq_number, default=1, metavar="N", help="first seq"
    )
    log.add_argument("--to", dest="last", type=seq_number, metavar="N", help="last seq")
    log.add_argument(
        "--collection",
        metavar="C",
        help="only of the collection with this name, or that had it once",
    )
    log.add_argument(
        "--kind",
        type=_kind,
        action="append",
        default=[],
        metavar="K",
        help="only events of this name, in any case; may be repeated",
    )
    log.add_argument(
        "--tail",
        type=seq_number,
        nargs="?",
        const=DEFAULT_TAIL,
        metavar="N",
        help=f"only the last N lines ({DEFAULT_TAIL} without N)",
    )
    log.add_argument(
        "-f", "--follow", action="store_true", help="wait for more, and print it as it happens"
    )


def run(options: argparse.Namespace) -> int:
    """Print; the exit code. Raises what is wrong with the store, after all lines before it."""
    folder = Path(options.store)
    if not (folder / LOG).is_dir():
        raise StoreUnusableException(message=f"{folder} is not a walvec store, it has no log")
    kinds = frozenset(options.kind)
    choice = Choice(options.first, options.last, options.collection, kinds, options.tail)
    log = Log(folder / LOG, read_only=True)
    try:
        if not options.json and sys.stdout.isatty():
            print(heading())
        if options.follow:
            _follow(log, choice, options.json)
            return 0
        for line in lines_of(log, choice):
            print(line.json() if options.json else line.text())
    finally:
        log.close()
    return 0


def _follow(log: Log, choice: Choice, as_json: bool) -> None:
    signal.signal(signal.SIGTERM, _terminate)
    with Tail(log) as tail:
        for line in lines_to_come(log, choice, tail, _is_read):
            print(line.json() if as_json else line.text(), flush=True)


def _terminate(*_: object) -> NoReturn:
    raise SystemExit(TERMINATED)


def _is_read() -> bool:
    """Whether anybody may still read the output: a pipe may have lost its reader."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return not poll.poll(0)


def seq_number(text: str) -> int:
    """A place in the log, from an argument. Raises argparse.ArgumentTypeError."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


def _kind(text: str) -> str:
    if text.lower() not in KINDS:
        names = ", ".join(sorted(KINDS.values()))
        raise argparse.ArgumentTypeError(f"there is no event {text!r}; there are {names}")
    return KINDS[text.lower()]
