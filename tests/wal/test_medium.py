"""The file system under a store: network file systems refused, cut files told from whole ones."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from walvec.wal import medium
from walvec.wal.errors import DiskFullException, StoreUnusableException

MOUNTINFO = r"""
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
23 22 0:21 / /srv rw shared:2 - nfs4 server:/export rw,vers=4.2
24 23 0:22 / /srv/local rw - xfs /dev/vdb rw
25 22 0:23 / /mnt/with\040space rw - cifs //server/share rw
26 22 0:24 / /mnt/over rw - ext4 /dev/vdc rw
27 22 0:25 / /mnt/over rw - fuse.sshfs host: rw
28 22 0:26 / /tmp rw,nosuid master:3 propagate_from:2 - tmpfs tmpfs rw
""".strip()


@pytest.fixture
def mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A made-up /proc/self/mountinfo."""
    table = tmp_path / "mountinfo"
    table.write_text(MOUNTINFO)
    real = Path

    class Faked(type(real())):  # type: ignore[misc]
        def __new__(cls, *parts: str) -> Path:  # type: ignore[misc]
            return real(table) if parts == ("/proc/self/mountinfo",) else real(*parts)

    monkeypatch.setattr(medium, "Path", Faked)


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/data/store", "ext4"),
        ("/srv", "nfs4"),
        ("/srv/store", "nfs4"),
        ("/srv/local/store", "xfs"),
        ("/srv/locality", "nfs4"),
        ("/mnt/with space/store", "cifs"),
        ("/mnt/over/store", "fuse.sshfs"),
        ("/tmp/store", "tmpfs"),
    ],
)
@pytest.mark.usefixtures("mounts")
def test_the_deepest_and_newest_mount_holds_a_folder(folder: str, kind: str) -> None:
    assert medium.file_system_of(Path(folder)) == kind


@pytest.mark.parametrize("folder", ["/srv/store", "/mnt/with space/store", "/mnt/over/store"])
@pytest.mark.usefixtures("mounts")
def test_a_network_file_system_is_refused_by_name(folder: str) -> None:
    kind = medium.file_system_of(Path(folder))
    with pytest.raises(StoreUnusableException, match=f"is on a {kind} file system.*local folder"):
        medium.refuse_network_file_system(Path(folder))


@pytest.mark.parametrize("folder", ["/data/store", "/srv/local/store", "/tmp/store"])
@pytest.mark.usefixtures("mounts")
def test_a_local_file_system_is_taken(folder: str) -> None:
    medium.refuse_network_file_system(Path(folder))


def test_a_store_on_a_network_file_system_is_refused_unless_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lab import open_at

    monkeypatch.setattr(medium, "file_system_of", lambda _: "nfs4")
    with pytest.raises(StoreUnusableException, match="allow_network_fs=True"):
        open_at(tmp_path / "store")
    assert not (tmp_path / "store" / "log").exists()
    open_at(tmp_path / "store", allow_network_fs=True).close()


def test_bytes_that_are_no_lmdb_file_are_refused(tmp_path: Path) -> None:
    for content in (b"", bytes(8192), os.urandom(8192)):
        (tmp_path / "data.mdb").write_bytes(content)
        with pytest.raises(StoreUnusableException, match="not an LMDB file"):
            medium.check_data_file(tmp_path / "data.mdb")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreUnusableException, match=r"data\.mdb"):
        medium.check_data_file(tmp_path / "data.mdb")


def test_free_bytes_are_those_of_the_file_system(tmp_path: Path) -> None:
    free = medium.free_bytes(tmp_path)
    stat = os.statvfs(tmp_path)
    assert 0 <= free <= stat.f_blocks * stat.f_frsize


def test_an_error_of_the_system_is_told_with_the_file_and_what_to_do() -> None:
    denied = PermissionError(errno.EACCES, "Permission denied", "/stores/a/segments")
    told = medium.refusal(denied, "cannot open the store /stores/a")
    assert isinstance(told, StoreUnusableException)
    assert told.message == (
        "cannot open the store /stores/a: Permission denied: /stores/a/segments"
    )
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        told = medium.refusal(OSError(number, "no room"), "cannot write /stores/a/writer.lock")
        assert isinstance(told, DiskFullException)
        assert told.message == "cannot write /stores/a/writer.lock: no room; make room"
    named = OSError(errno.EIO, "input/output error", "/stores/a")
    assert medium.refusal(named, "cannot open /stores/a").message.count("/stores/a") == 1


def test_a_mount_that_changes_while_the_process_lives_is_seen(mounts: None, tmp_path: Path) -> None:
    assert medium.file_system_of(Path("/srv/local/a")) == "xfs"
    table = tmp_path / "mountinfo"
    table.write_text(table.read_text() + "\n29 22 0:26 / /srv/local rw - nfs4 server:/x rw\n")
    assert medium.file_system_of(Path("/srv/local/a")) == "nfs4"
