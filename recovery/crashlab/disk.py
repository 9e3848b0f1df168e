"""The disk: what of a recorded run is durable, and what a power cut may take, under a model.

Three models of what a file system keeps:

- `kill`: everything that was written is there. No power was cut; the process was killed.
- `ext4`: names (create, rename, unlink, ...) are a journal, of which a first part survives; an
  fsync makes it durable as far as the last change to the file or folder that is synced. Of the
  writes and truncations of a file that are not synced any subset survives, each write perhaps
  torn. Harsher than ext4 on the order of data, true to it on names and on delayed allocation.
- `posix`: as ext4, but of the names, too, any subset survives until their folder is synced.

fsync and fdatasync make durable what had returned before they were called; a write to a file
opened with O_DSYNC is durable when it returns, with whatever else lies in the same pages and what
was cut off the file before.
(Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014, is where such models come
from; LazyFS and ALICE have others.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from walvec.crashlab import operation
from walvec.crashlab.operation import Operation, Recording

KILL, EXT4, POSIX = "kill", "ext4", "posix"
MODELS = (KILL, EXT4, POSIX)
ROOT = 1
PAGE = 4096


class Write(NamedTuple):
    """A write or a truncation of a file that is not durable, by the operation number `step`."""

    step: int
    file: int
    operation: Operation


class Naming(NamedTuple):
    """Names that are not durable: in the folder so the name is that file, or none (0)."""

    step: int
    changes: tuple[tuple[int, str, int], ...]


@dataclass
class Disk:
    """The files and folders of a recording after its first `step` operations.

    `contents` and `names` are what is durable: bytes by file, and for a folder what its names
    are. `writes` and `namings` may be lost. `durable_at` says of every step that changed
    something which step made that durable.
    """

    model: str
    contents: dict[int, bytearray] = field(default_factory=dict)
    names: dict[int, dict[str, int]] = field(default_factory=lambda: {ROOT: {}})
    writes: list[Write] = field(default_factory=list)
    namings: list[Naming] = field(default_factory=list)
    durable_at: dict[int, int] = field(default_factory=dict)
    step: int = 0
    versions: dict[int, int] = field(default_factory=dict)
    """The step of the last change to what is durable of a file."""
    _tree: dict[int, dict[str, int]] = field(default_factory=lambda: {ROOT: {}})
    _sizes: dict[int, int] = field(default_factory=dict)
    _journaled: dict[int, int] = field(default_factory=dict)
    _changed: dict[int, int] = field(default_factory=dict)

    @classmethod
    def before(cls, recording: Recording, model: str) -> Disk:
        """The disk before the first operation: what was there is durable."""
        disk = cls(model)
        for path in sorted(recording.folders):
            if path not in ("", "."):
                disk._place(recording.files[path], path, is_folder=True)
        for path, content in recording.start.items():
            file = recording.files[path]
            disk._place(file, path)
            disk.contents[file] = bytearray(content)
            disk._sizes[file] = len(content)
        return disk

    def _place(self, file: int, path: str, *, is_folder: bool = False) -> None:
        folder, name = self._parent(path)
        for tree in (self.names, self._tree):
            tree[folder][name] = file
            if is_folder:
                tree[file] = {}

    def _parent(self, path: str) -> tuple[int, str]:
        *folders, name = path.split("/")
        place = ROOT
        for folder in folders:
            place = self._tree[place][folder]
        return place, name

    def advance(self, done: Operation) -> None:
        """The next operation has returned."""
        self.step += 1
        if done.kind in operation.DATA:
            self._write(done)
        elif done.kind in operation.NAMES:
            self._name(done)
        elif done.kind in operation.SYNCS:
            self._sync(done)

    def _write(self, done: Operation) -> None:
        size = self._sizes.get(done.file, 0)
        grown = done.offset if done.kind == operation.TRUNCATE else done.offset + len(done.data)
        if grown > size or done.kind == operation.TRUNCATE:
            self._sizes[done.file] = grown
            # The size of a file is in the journal: a datasync of it commits that, too.
            self._journaled[done.file] = self.step
        self._changed[done.file] = self.step
        self.writes.append(Write(self.step, done.file, done))
        if self.model == KILL:
            self._keep_writes(lambda _: True)
        elif done.durable:
            self._keep_pages(done)
            self._keep_journal(self._journaled.get(done.file, 0))

    def _name(self, done: Operation) -> None:
        folder, name = self._parent(done.path)
        changes = [(folder, name, 0)]
        if done.kind in (operation.CREATE, operation.MKDIR):
            changes = [(folder, name, done.file)]
            self._journaled[done.file] = self.step
            if done.kind == operation.MKDIR:
                self._tree[done.file] = {}
                self.names.setdefault(done.file, {})
        elif done.kind in (operation.RENAME, operation.LINK):
            target = (*self._parent(done.target), done.file)
            changes = [target] if done.kind == operation.LINK else [(folder, name, 0), target]
        for place, what, file in changes:
            _put(self._tree[place], what, file)
            self._changed[place] = self.step
        self._changed[done.file] = self.step
        self.namings.append(Naming(self.step, tuple(changes)))
        if self.model == KILL:
            self._keep_names(lambda _: True)

    def _sync(self, done: Operation) -> None:
        """What had returned before the sync was called is durable."""
        until = done.begun
        if done.kind == operation.SYNC_ALL:
            self._keep_writes(lambda w: w.step <= until)
            self._keep_names(lambda n: n.step <= until)
            return
        self._keep_writes(lambda w: w.file == done.file and w.step <= until)
        if self.model == POSIX:
            steps = self._named_in(done.file, until)
            self._keep_names(lambda n: n.step in steps)
        elif done.kind == operation.SYNC or done.file in self._tree:
            # Of a file that has not changed since, there is nothing to commit.
            self._keep_journal(min(until, self._changed.get(done.file, 0)))
        else:
            self._keep_journal(min(until, self._journaled.get(done.file, 0)))

    def _named_in(self, folder: int, until: int) -> set[int]:
        """The namings so far that a sync of a folder makes durable under posix.

        A rename into another folder is durable with that one, and what it took away there, too:
        whatever had given it the name that it moved must not do so after it.
        """
        steps: set[int] = set()
        names: set[tuple[int, str]] = set()
        for naming in reversed(self.namings):
            own = {change[:2] for change in naming.changes}
            synced = naming.changes[-1][0] == folder and naming.step <= until
            if synced or names & own:
                steps.add(naming.step)
                names |= own
        return steps

    def _keep_journal(self, until: int) -> None:
        """Under ext4 the names are one journal: what commits a file's size commits them."""
        if self.model == EXT4:
            self._keep_names(lambda n: n.step <= until)

    def _keep_writes(self, kept: Callable[[Write], bool]) -> None:
        pending = []
        for write in self.writes:
            if kept(write):
                apply_write(self.contents.setdefault(write.file, bytearray()), write.operation)
                self.versions[write.file] = self.step
                self.durable_at[write.step] = self.step
            else:
                pending.append(write)
        self.writes = pending

    def _keep_pages(self, done: Operation) -> None:
        """Make durable what lies in the pages of a write, and how the file was cut before.

        What the same writes have put elsewhere may still be lost, but not what was cut off: it
        must not come back.
        """
        pages = _pages(done)
        content = self.contents.setdefault(done.file, bytearray())
        pending: list[Write] = []
        for write in self.writes:
            if write.file != done.file:
                pending.append(write)
            elif write.operation.kind == operation.TRUNCATE:
                apply_write(content, write.operation)
                size = write.operation.offset
                pending = [
                    part
                    for w in pending
                    for part in (_parts(w, 0, size) if w.file == done.file else [w])
                ]
            else:
                for part in _parts(write, pages.start * PAGE, pages.stop * PAGE):
                    apply_write(content, part.operation)
                pending += _parts(write, 0, pages.start * PAGE)
                pending += _parts(write, pages.stop * PAGE)
        left = {write.step for write in pending}
        for step in {write.step for write in self.writes} - left:
            self.durable_at[step] = self.step
        self.versions[done.file] = self.step
        self.writes = pending

    def _keep_names(self, kept: Callable[[Naming], bool]) -> None:
        pending = []
        for naming in self.namings:
            if kept(naming):
                for folder, name, file in naming.changes:
                    _put(self.names[folder], name, file)
                self.durable_at[naming.step] = self.step
            else:
                pending.append(naming)
        self.namings = pending

    def tree(self, kept: Sequence[Naming]) -> tuple[dict[str, int], list[str]]:
        """Files by path, and folders, where of the names that are not durable these survive."""
        names = self.names
        if kept:
            names = {folder: dict(entries) for folder, entries in names.items()}
            for naming in kept:
                for folder, name, file in naming.changes:
                    _put(names[folder], name, file)
        files: dict[str, int] = {}
        folders: list[str] = []
        rest = [("", ROOT)]
        while rest:
            prefix, folder = rest.pop()
            for name, file in names[folder].items():
                if file in names:
                    folders.append(prefix + name)
                    rest.append((f"{prefix}{name}/", file))
                else:
                    files[prefix + name] = file
        return files, sorted(folders)


def apply_write(content: bytearray, done: Operation) -> None:
    """Carry out a write or a truncation."""
    if done.kind == operation.TRUNCATE:
        del content[done.offset :]
        content.extend(bytes(done.offset - len(content)))
        return
    if not done.data:
        return
    if len(content) < done.offset:
        content.extend(bytes(done.offset - len(content)))
    content[done.offset : done.offset + len(done.data)] = done.data


def _put(entries: dict[str, int], name: str, file: int) -> None:
    if file:
        entries[name] = file
    else:
        entries.pop(name, None)


def _pages(done: Operation) -> range:
    return range(done.offset // PAGE, -(-(done.offset + len(done.data)) // PAGE))


def _parts(write: Write, first: int, end: int | None = None) -> list[Write]:
    """What a write puts between these bytes of the file: one write, or none."""
    done = write.operation
    last = done.offset + len(done.data)
    first, end = max(first, done.offset), last if end is None else min(end, last)
    if first >= end:
        return []
    data = done.data[first - done.offset : end - done.offset]
    return [write._replace(operation=done._replace(offset=first, data=data))]
