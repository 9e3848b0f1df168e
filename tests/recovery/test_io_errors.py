"""Real I/O errors under LMDB: the environment is dropped and opened anew, the fate of every command
is told truthfully, and the other threads of the process go on.

A library put before the C library fails one call of LMDB with EIO when a trigger file appears: the
sync of the data pages, the write of the data pages, or the write of the meta page, after which
LMDB refuses every transaction, also of readers, until the environment is opened anew.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from lab import run_child

from walvec.recovery.verify import verify

COMPILER = shutil.which("cc") or shutil.which("gcc")

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define META_BYTES 256

static int fails(const char *what) {
    const char *trigger = getenv("FAIL_TRIGGER"), *wanted = getenv("FAIL_CALL");
    /* Who unlinks it, fails: just one call. */
    return trigger && wanted && !strcmp(what, wanted) && !unlink(trigger);
}

static ssize_t failing_pwrite(const char *name, int fd, const void *data, size_t n, off_t at) {
    ssize_t (*real)(int, const void *, size_t, off_t) = dlsym(RTLD_NEXT, name);
    /* A meta page is written in part, at the begin of the file; what else is so short is ours. */
    if (at < 3 * 4096 ? n < META_BYTES && fails("meta") : n >= 4096 && fails("data")) {
        errno = EIO;
        return -1;
    }
    return real(fd, data, n, at);
}

ssize_t pwrite64(int fd, const void *data, size_t n, off_t at) {
    return failing_pwrite("pwrite64", fd, data, n, at);
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t at) {
    return failing_pwrite("pwrite", fd, data, n, at);
}

int fdatasync(int fd) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fdatasync");
    if (fails("sync")) {
        errno = EIO;
        return -1;
    }
    return real(fd);
}
"""

WORK = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from lab import Table, assert_state_is_replayed, open_at
from walvec.wal.errors import CommitFailedException

ROUNDS = 3
folder, trigger = Path(sys.argv[1]), Path(sys.argv[2])
store = open_at(folder)
table = Table(store)
table.insert([-1])
known, refused, taken = set(), set(), threading.Lock()
stop = threading.Event()

def write(first):
    number = first
    while not stop.is_set():
        try:
            table.insert([number])
            stored = known
        except CommitFailedException as error:
            assert "nothing of this command was stored" in error.message, error
            stored = refused
        with taken:
            stored.add(number)
        number += 4

def read():
    seen = 0
    while not stop.wait(0.005):  # leaves the writers some of the GIL
        seq = store.current().seq
        assert seq >= seen
        seen = seq
        assert -1 in table.texts()
        # Reading the log itself meets an environment that refuses transactions.
        with store.log.reading() as txn:
            assert store.log.last_seq(txn) >= seq

with ThreadPoolExecutor(6) as threads:
    work = [threads.submit(write, n) for n in range(4)] + [threads.submit(read) for _ in range(2)]
    try:
        for _ in range(ROUNDS):
            trigger.touch()
            while trigger.exists() and not any(w.done() for w in work):
                threading.Event().wait(0.001)
            mark = len(known) + 8
            while len(known) < mark and not any(w.done() for w in work):
                threading.Event().wait(0.001)
    finally:
        stop.set()
    for one in work:
        one.result(30)
assert set(table.texts()) == known | {-1}, (known ^ set(table.texts()))
assert_state_is_replayed(store)
store.close()
print(len(known) > 0, len(refused))
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that fails."""
    if COMPILER is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("shim")
    (folder / "shim.c").write_text(SHIM)
    library = folder / "shim.so"
    command = [COMPILER, "-shared", "-fPIC", "-o", library, folder / "shim.c", "-ldl"]
    subprocess.run(command, check=True, capture_output=True)
    return library


@pytest.mark.parametrize("call", ["sync", "data", "meta"])
def test_after_a_real_io_error_every_thread_goes_on_and_is_told_the_truth(
    tmp_path: Path, shim: Path, call: str
) -> None:
    trigger = tmp_path / "trigger"
    failing = {"LD_PRELOAD": str(shim), "FAIL_TRIGGER": str(trigger), "FAIL_CALL": call}
    done = run_child(WORK, tmp_path / "store", trigger, **failing)
    stored, refused = done.stdout.split()
    assert stored == "True"
    assert int(refused) >= 1, "the error never reached a command"
    assert not verify(tmp_path / "store").findings
