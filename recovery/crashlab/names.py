"""Names: what the system calls do that make, move and remove them."""

from __future__ import annotations

import re

from walvec.crashlab import operation
from walvec.crashlab.calls import Call, unquoted
from walvec.crashlab.descriptors import Opened, Slot
from walvec.crashlab.shadow import File, Folder
from walvec.crashlab.tape import Place, Tape, joined

OWN_DESCRIPTOR = re.compile(r"/proc/(?:self|\d+)/fd/(\d+)")


def paths_of(call: Call) -> list[tuple[str, str]]:
    """The paths that a call names, each with the descriptor of the folder that it begins at."""
    fields = call.fields()
    if call.name in ("rename", "link"):
        return [("", fields[0]), ("", fields[1])]
    if call.name in ("renameat", "renameat2", "linkat"):
        return [(fields[0], fields[1]), (fields[2], fields[3])]
    if call.name == "symlink":
        return [("", fields[1])]
    if call.name == "symlinkat":
        return [(fields[1], fields[2])]
    if call.name.endswith(("at", "at2")) and call.name != "creat":
        return [(fields[0], fields[1])]
    return [("", fields[0])]


def open_file(tape: Tape, call: Call) -> None:
    """open, openat, openat2, creat: a descriptor, perhaps a new file or an emptied one."""
    fields = call.fields()
    if call.name == "creat":
        flags = frozenset({"O_WRONLY", "O_CREAT", "O_TRUNC"})
    else:
        text = fields[1] if call.name == "open" else fields[2]
        flags = frozenset(text.removeprefix("{flags=").split("|"))
    base, raw = paths_of(call)[0]
    place = tape.locate(call, base, raw)
    if place is None and "O_TMPFILE" not in flags and call.path:
        place = tape.inside(call.path)
    node: File | None = None
    if place is not None:
        node = _node_opened(tape, call, place, flags)
        tape.calls[call.name] += bool(flags & {"O_CREAT", "O_TRUNC", "O_TMPFILE"})
    opened = Opened(node, call.path or unquoted(raw), flags)
    tape.processes[call.pid].table[call.result] = Slot(opened, "O_CLOEXEC" in flags)


def _node_opened(tape: Tape, call: Call, place: Place, flags: frozenset[str]) -> File:
    folder, name = place
    if "O_TMPFILE" in flags:
        node = File(tape.shadow.new_number())  # It may get a name by linkat.
        node.name = call.path.rpartition("/")[2]
        return node
    if "O_CREAT" in flags and name not in folder.entries:
        return _create(tape, call, place)
    node = tape.shadow.get(folder, name)
    if "O_TRUNC" in flags and node.data:
        tape.note(call, operation.TRUNCATE, node, node.path)
    return node


def _create(tape: Tape, call: Call, place: Place, node: File | None = None) -> File:
    node = node or File(tape.shadow.new_number())
    tape.shadow.put(*place, node)
    tape.note(call, operation.CREATE, node, joined(place))
    return node


def make(tape: Tape, call: Call) -> None:
    """mkdir, mknod: a new folder, or an empty file."""
    place = tape.locate(call, *paths_of(call)[0])
    if place is None or (call.name.startswith("mknod") and "S_IFREG" not in call.args):
        return
    tape.calls[call.name] += 1
    if call.name.startswith("mknod"):
        _create(tape, call, place)
    elif place[1]:
        node = Folder(tape.shadow.new_number())
        tape.shadow.put(*place, node)
        tape.note(call, operation.MKDIR, node, joined(place))


def remove(tape: Tape, call: Call) -> None:
    """unlink, rmdir: a name is gone."""
    place = tape.locate(call, *paths_of(call)[0])
    if place is None:
        return
    folder, name = place
    if not name:
        raise tape.refuse(call, "the store's own folder is removed")
    node = tape.shadow.get(folder, name)
    path = joined(place)
    del folder.entries[name]
    tape.calls[call.name] += 1
    kind = operation.RMDIR if isinstance(node, Folder) else operation.UNLINK
    tape.note(call, kind, node, path)


def rename(tape: Tape, call: Call) -> None:
    """rename: a name of a file becomes another one, and is taken from what had it."""
    (old_base, old_text), (new_base, new_text) = paths_of(call)
    old = tape.locate(call, old_base, old_text)
    new = tape.locate(call, new_base, new_text)
    if old is None and new is None:
        if tape.is_above(unquoted(old_text)):
            raise tape.refuse(call, "a folder above the store's is renamed")
        return
    if "" in (old and old[1], new and new[1]):
        raise tape.refuse(call, "the store's own folder is renamed")
    if old is None or new is None:
        _rename_across(tape, call, old, new)
        return
    if "RENAME_EXCHANGE" in call.args or "RENAME_WHITEOUT" in call.args:
        raise tape.refuse(call, f"{joined(old)} is exchanged with {joined(new)}")
    node = tape.shadow.get(*old)
    path, target = joined(old), joined(new)
    tape.calls[call.name] += 1
    if new[0].entries.get(new[1]) is node:
        return  # Two names of one file: nothing happens.
    del old[0].entries[old[1]]
    tape.shadow.put(*new, node)
    tape.note(call, operation.RENAME, node, path, target=target)


def _rename_across(tape: Tape, call: Call, old: Place | None, new: Place | None) -> None:
    """A file leaves the folder, or one comes in, of which it is not known what is in it."""
    if old is None:
        assert new is not None
        raise tape.refuse(call, f"{joined(new)} is moved in from outside of the folder")
    node = tape.shadow.get(*old)
    if isinstance(node, Folder):
        raise tape.refuse(call, f"the folder {joined(old)} is moved out of the store's folder")
    path = joined(old)
    del old[0].entries[old[1]]
    tape.calls[call.name] += 1
    tape.note(call, operation.UNLINK, node, path)


def link(tape: Tape, call: Call) -> None:
    """link: one more name of a file; the first one, if it was made without."""
    (old_base, old_text), new = paths_of(call)
    place = tape.locate(call, *new)
    own = OWN_DESCRIPTOR.fullmatch(unquoted(old_text))
    if own or "AT_EMPTY_PATH" in call.args:
        opened = tape.opened(call, own[1] if own else old_base)
        node = opened.node if opened else None
        old = None
    else:
        old = tape.locate(call, old_base, old_text)
        node = tape.shadow.get(*old) if old else None
    if place is None:
        return
    if node is None:
        raise tape.refuse(call, f"{joined(place)} is a link to a file outside of the folder")
    tape.calls[call.name] += 1
    if node.folder is None:
        _create(tape, call, place, node)
        return
    path = joined(old) if old else node.path
    tape.shadow.put(*place, node)
    tape.note(call, operation.LINK, node, path, target=joined(place))


def symlink(tape: Tape, call: Call) -> None:
    """symlink: none may be in the folder."""
    place = tape.locate(call, *paths_of(call)[0])
    if place is not None:
        raise tape.refuse(call, f"{joined(place)} becomes a symbolic link")
