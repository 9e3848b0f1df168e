"""Images: that every one that may be left is made, and that a cut's text names one."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from walvec.crashlab.disk import EXT4, KILL, POSIX, Disk
from walvec.crashlab.image import Cut, Darkroom, Image, Tear, cuts
from walvec.crashlab.operation import Operation, Recording


def disk_of(model: str, *operations: Operation) -> Disk:
    start = Recording({"a": bytes(4096)}, (), {"a": 2}, ())
    disk = Disk.before(start, model)
    for done in operations:
        disk.advance(done)
    return disk


def write(begun: int, data: bytes, offset: int = 0, *, durable: bool = False) -> Operation:
    return Operation("write", begun, file=2, path="a", data=data, offset=offset, durable=durable)


def images(disk: Disk, *coming: Operation) -> dict[Cut, Image]:
    darkroom = Darkroom(frozenset())
    return {cut: darkroom.develop(disk, coming, cut) for cut in cuts(disk, coming, Random(3))}


def contents(disk: Disk, *coming: Operation) -> set[bytes]:
    return {image.files["a"].rstrip(b"\0") for image in images(disk, *coming).values()}


def test_every_subset_of_a_few_writes_is_an_image() -> None:
    disk = disk_of(EXT4, write(0, b"1"), write(1, b"2", 1), write(2, b"3", 2))
    wanted = {b"", b"1", b"\x002", b"\0\x003", b"12", b"1\x003", b"\x0023", b"123"}
    assert contents(disk) == wanted


def test_after_a_kill_there_is_one_image() -> None:
    disk = disk_of(KILL, write(0, b"1"), write(1, b"2", 1))
    assert contents(disk) == {b"12"}


def test_a_write_is_torn_at_borders_of_sectors_and_pages() -> None:
    disk = disk_of(EXT4, write(0, b"x" * 8000, 100))
    found = {len(image.files["a"].rstrip(b"\0")) for image in images(disk).values()}
    assert {0, 8100, 512, 4096} <= found
    assert all(length % 512 == 0 for length in found - {8100})


def test_the_pages_of_a_write_reach_the_disk_in_any_order() -> None:
    for model, more in ((EXT4, set()), (POSIX, {"   "})):
        disk = disk_of(model, write(0, b"x" * 12288, 4096))
        grown = [i.files["a"] for i in images(disk).values() if len(i.files["a"]) == 16384]
        found = {"".join("x" if c[at] else " " for at in (4096, 8192, 12288)) for c in grown}
        assert found >= {"xxx", " xx", "x x"} | more
        assert model == POSIX or "   " not in found


def test_a_durable_write_that_was_called_may_be_there_or_not_or_torn() -> None:
    disk = disk_of(EXT4)
    coming = write(0, b"m" * 1024, durable=True)
    parts = {b"m" * 512, bytes(512) + b"m" * 512}
    assert contents(disk, coming) == {b"", b"m" * 1024, *parts}
    assert contents(disk, coming._replace(begun=1)) == {b""}


def test_names_survive_as_a_first_part_under_ext4_and_in_any_subset_under_posix() -> None:
    made = [Operation("create", i, file=3 + i, path=f"n{i}") for i in range(3)]
    first_parts = {"", "n0", "n0n1", "n0n1n2"}
    for model, wanted in ((EXT4, 4), (POSIX, 8)):
        found = {
            "".join(sorted(set(image.files) - {"a"}))
            for image in images(disk_of(model, *made)).values()
        }
        assert len(found) == wanted
        assert found >= first_parts


def test_equal_images_have_equal_digests_and_others_have_not() -> None:
    disk = disk_of(EXT4, write(0, b"1"), write(1, b"1"))
    by_content: dict[bytes, set[bytes]] = {}
    for image in images(disk).values():
        by_content.setdefault(image.files["a"], set()).add(image.digest)
    assert len(by_content) == 2
    assert [len(digests) for digests in by_content.values()] == [1, 1]
    assert len(set.union(*by_content.values())) == 2


def test_volatile_files_do_not_count_for_the_digest() -> None:
    disk = disk_of(EXT4, write(0, b"1"))
    darkroom = Darkroom(frozenset({"a*"}))
    digests = {darkroom.develop(disk, (), Cut(1, kept, 0)).digest for kept in (0, 1)}
    assert len(digests) == 1


def test_of_many_writes_those_of_one_file_are_lost_together_and_kept_alone() -> None:
    made = [write(0, b"1", 3 * at) for at in range(6)]
    made += [done._replace(file=3) for done in made]
    kept = {cut.writes for cut in cuts(disk_of(EXT4, *made), (), Random(1)) if not cut.tears}
    assert {0b111111, 0b111111000000} <= kept


def test_many_writes_give_a_bounded_number_of_cuts() -> None:
    disk = disk_of(POSIX, *(write(i, bytes([i + 1]), 3 * i) for i in range(200)))
    assert len(list(cuts(disk, (), Random(1)))) < 100


def test_the_text_of_a_cut_is_the_cut() -> None:
    for cut in (Cut(17, 5, 3, (Tear(2, 512), Tear(0, 4096, 8192))), Cut(0, 0, 0)):
        assert Cut.of(str(cut)) == cut
    assert str(Cut(17, 0x1F, 3, (Tear(2, 512),))) == "17.w1f.n3.t2-512"
    assert str(Cut(9, 1, 0, (Tear(0, 0, 4096),))) == "9.w1.n0.t0-0+4096"


@pytest.mark.parametrize(
    "text", ["", "17", "17.w5", "17.w5.n3.t2", "17.w5.n3 ", "x.w5.n3", "1.wg.n0"]
)
def test_what_is_no_cut_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a cut"):
        Cut.of(text)


def test_an_image_is_laid_with_modes_that_keep_others_out(tmp_path: Path) -> None:
    Image({"f/a": b"x"}, ("f",), b"").lay(tmp_path)
    assert (tmp_path / "f/a").read_bytes() == b"x"
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "f/a").stat().st_mode & 0o777 == 0o600
