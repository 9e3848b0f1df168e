"""Ctrl-C in the midst of a run: it ends, and takes with it all that it has started."""

from __future__ import annotations

import os
import signal
import threading

from walvec.crashlab.stage import Marks, fork, fork_child


def test_an_interrupt_in_the_hooks_of_a_fork_is_not_lost() -> None:
    armed = [True]

    def hook() -> None:
        if armed:  # Once: a hook is there for good.
            armed.clear()
            os.kill(os.getpid(), signal.SIGINT)

    os.register_at_fork(before=hook)
    interrupted, pid = False, -1
    try:
        pid = fork()
        if pid == 0:
            os._exit(0)
    except KeyboardInterrupt:
        interrupted = True
    assert interrupted
    os.waitpid(-1, 0)


def test_a_child_takes_interrupts_and_its_parent_does_what_it_did_before() -> None:
    before = signal.getsignal(signal.SIGINT)

    def run(marks: Marks) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(30)

    _, code = fork_child(run).bury()
    assert code == -signal.SIGINT
    assert signal.getsignal(signal.SIGINT) is before
