"""The gate of the map: readers together, one who moves it alone, and not kept out by readers."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from walvec.wal.gate import Gate


def test_one_who_wants_to_be_alone_goes_before_new_readers() -> None:
    gate = Gate()
    stop = threading.Event()
    inside: list[int] = []

    def read() -> None:
        while not stop.is_set():
            with gate.reading(lambda: None):
                inside.append(1)
                time.sleep(0.001)  # so that readers overlap
                inside.pop()

    with ThreadPoolExecutor(3) as threads:
        readers = [threads.submit(read) for _ in range(3)]
        try:
            for _ in range(20):
                assert gate.hold(time.monotonic() + 20), "readers keep it out"
                assert not inside
                gate.let_go()
                with gate.alone():
                    assert not inside
        finally:
            stop.set()
        for reader in readers:
            reader.result(20)


def test_a_thread_that_reads_is_not_made_to_wait_for_itself() -> None:
    gate = Gate()
    with gate.reading(lambda: None):
        assert not gate.hold(time.monotonic() + 60)
        with gate.reading(lambda: None):
            assert not gate.hold(time.monotonic() + 60)
    assert gate.hold(time.monotonic() + 60)
    gate.let_go()
    with gate.lock:  # it may be about to count itself
        assert not gate.hold(time.monotonic() + 60)


def test_a_hold_that_comes_too_late_leaves_the_gate_open() -> None:
    gate = Gate()
    with gate.reading(lambda: None), ThreadPoolExecutor(1) as threads:
        assert not threads.submit(gate.hold, time.monotonic() + 0.05).result(20)
    with gate.reading(lambda: "begun") as begun:
        assert begun == "begun"
