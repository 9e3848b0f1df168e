"""The commands of walvec: how each is done to a store, what it does to the model, and when it may
come. A new one joins by `register`.

A command is steps, each of them one transaction: after a crash the first few of them may be
there. Where there is no collection, most commands make it first, so that short workloads reach
far.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from walvec.crashlab.walvec_hand import Hand
from walvec.crashlab.walvec_model import (
    ADDED_INDEX,
    ALIAS,
    CURSORS,
    DATABASE,
    DEFAULT,
    DEFAULT_PARTITION,
    EXPIRES_AFTER,
    NAMES,
    PARTITION,
    Model,
    Table,
    keys_written,
)
from walvec.crashlab.walvec_writing import (
    delete,
    expire,
    truncate,
    write,
    write_by_process,
    write_by_threads,
)


class Step(NamedTuple):
    """One transaction of a command. `do` changes the store, `change` the model; both get the
    operation's number, on which what they write depends."""

    do: Callable[[Hand, int], None]
    change: Callable[[Model, int], None]


class Command(NamedTuple):
    """What an operation of a name does. `follows`: whether it may come after this."""

    steps: tuple[Step, ...]
    follows: Callable[[Model], bool]


COMMANDS: dict[str, Command] = {}
"""By name, in the order in which they are tried."""
CORE = (
    *("create", "insert", "delete", "upsert", "flush", "built", "load", "release"),
    *("checkpoint", "drop"),
)
"""Those of which all short workloads are made. All of them are for random ones."""


def register(
    name: str, *steps: Step, follows: Callable[[Model], bool], collection: bool = True
) -> None:
    """Let operations of this name be done. With `collection` it is made first if there is none,
    and `follows` is asked only where there is one."""
    if name in COMMANDS:
        raise ValueError(f"there is a command {name} already: choose another name")
    if collection:
        COMMANDS[name] = Command((ENSURE, *steps), _in_a_collection(follows))
    else:
        COMMANDS[name] = Command(steps, follows)


def _in_a_collection(follows: Callable[[Model], bool]) -> Callable[[Model], bool]:
    return lambda model: follows(replace(model, table=model.table or Table()))


def _create(model: Model, _: int) -> None:
    if model.table is None:
        model.table = Table()


def _same(_model: Model, _number: int) -> None:
    """The rows are what they were."""


def _nothing(_hand: Hand, _number: int) -> None:
    """The next step does it all."""


def _always(_: Model) -> bool:
    return True


def _on(change: Callable[[Table], object]) -> Callable[[Model, int], None]:
    """A change of the collection that does not depend on the number."""

    def changed(model: Model, _: int) -> None:
        change(model.there)

    return changed


def _do(act: Callable[[Hand], object]) -> Callable[[Hand, int], None]:
    """What does not depend on the number."""

    def done(hand: Hand, _: int) -> None:
        act(hand)

    return done


def _written(name: str, parts: slice = slice(None), partition: str = DEFAULT_PARTITION) -> Step:
    """A step that inserts or upserts what an operation of this name writes."""

    def do(hand: Hand, number: int) -> None:
        keys = keys_written(name, number)[parts]
        write(hand, keys, number, partition, upsert=name == "upsert")

    def change(model: Model, number: int) -> None:
        for keys in keys_written(name, number)[parts]:
            model.there.write(keys, number, partition)

    return Step(do, change)


def _change_of_threads(parts: slice) -> Callable[[Model, int], None]:
    return _written("threads", parts).change


def _deleted(model: Model, number: int) -> None:
    gone = set(keys_written("delete", number)[0])
    model.there.keep(lambda key, _: key not in gone)


def _expired(model: Model, number: int) -> None:
    table = model.there
    table.keep(lambda key, _: table.written[key] > number - EXPIRES_AFTER)


def _drop_partition(table: Table) -> None:
    del table.partitions[PARTITION]
    table.keep(lambda _, row: row.partition != PARTITION)


def _drop(model: Model, _: int) -> None:
    model.table = None


def _rename(table: Table) -> None:
    table.name = NAMES[NAMES.index(table.name) - 1]


def _move(table: Table) -> None:
    table.database = DATABASE if table.database == DEFAULT else DEFAULT


def _alter(model: Model, number: int) -> None:
    model.there.properties[f"p{number % 3}"] = str(number)


def _is_loaded(model: Model, partition: str) -> bool | None:
    return model.there.partitions.get(partition)


def _move_cursor(model: Model, number: int) -> None:
    model.cursors.add(CURSORS[number % 2])


ENSURE = Step(lambda hand, _: hand.create(), _create)

register("create", ENSURE, follows=lambda model: model.table is None, collection=False)
register("insert", _written("insert"), follows=_always)
# Early, for it alone shows a reader what another process has written.
register("process", Step(write_by_process, _written("process").change), follows=_always)
register("delete", Step(delete, _deleted), follows=_always)
register("upsert", _written("upsert"), follows=_always)
register("flush", Step(_do(Hand.flush), _same), follows=_always)
register("built", Step(_do(Hand.build), _same), follows=_always)
register("load", Step(_do(Hand.load), _on(lambda t: t.load(True))), follows=_always)
register("release", Step(_do(Hand.release), _on(lambda t: t.load(False))), follows=_always)
register("checkpoint", Step(_do(Hand.checkpoint), _same), follows=_always, collection=False)
register(
    "drop",
    Step(_do(Hand.drop), _drop),
    follows=lambda model: not model.there.aliases,
)

register(
    "create_partition",
    Step(
        _do(Hand.create_partition),
        _on(lambda t: t.partitions.update({PARTITION: t.loads_new})),
    ),
    follows=lambda model: PARTITION not in model.there.partitions,
)
register(
    "insert_partition",
    _written("insert_partition", partition=PARTITION),
    follows=lambda model: PARTITION in model.there.partitions,
)
register(
    "load_partition",
    Step(_do(Hand.load_partition), _on(lambda t: t.load_partition(PARTITION, True))),
    follows=lambda model: _is_loaded(model, PARTITION) is False,
)
register(
    "release_partition",
    Step(_do(Hand.release_partition), _on(lambda t: t.load_partition(PARTITION, False))),
    follows=lambda model: _is_loaded(model, PARTITION) is True,
)
register(
    "drop_partition",
    Step(_do(Hand.drop_partition), _on(_drop_partition)),
    follows=lambda model: _is_loaded(model, PARTITION) is False,
)
register(
    "truncate",
    Step(_do(truncate), _on(lambda t: t.keep(lambda _key, _row: False))),
    follows=_always,
)
register("expire", Step(expire, _expired), follows=_always)
register("rename", Step(_do(Hand.rename), _on(_rename)), follows=_always)
register(
    "alias",
    Step(_do(Hand.set_alias), _on(lambda t: t.aliases.add(ALIAS))),
    follows=lambda model: not model.there.aliases,
)
register(
    "drop_alias",
    Step(_do(Hand.drop_alias), _on(lambda t: t.aliases.discard(ALIAS))),
    follows=lambda model: bool(model.there.aliases),
)
register(
    "create_database",
    Step(_do(Hand.create_database), lambda model, _: model.databases.add(DATABASE)),
    follows=lambda model: DATABASE not in model.databases,
    collection=False,
)
register(
    "drop_database",
    Step(_do(Hand.drop_database), lambda model, _: model.databases.remove(DATABASE)),
    follows=lambda model: (
        DATABASE in model.databases and (model.table is None or model.table.database != DATABASE)
    ),
    collection=False,
)
register(
    "move",
    Step(_do(Hand.move), _on(_move)),
    follows=lambda model: DATABASE in model.databases and not model.there.aliases,
)
register(
    "add_field",
    Step(_do(Hand.add_field), _on(Table.add_field)),
    follows=lambda model: not model.there.added,
)
register("alter", Step(Hand.alter, _alter), follows=_always)
register(
    "create_index",
    Step(_do(Hand.create_index), _on(lambda t: t.indexes.add(ADDED_INDEX))),
    follows=lambda model: ADDED_INDEX not in model.there.indexes,
)
register(
    "drop_index",
    Step(_do(Hand.drop_index), _on(lambda t: t.indexes.remove(ADDED_INDEX))),
    follows=lambda model: ADDED_INDEX in model.there.indexes,
)
register(
    "merge",
    Step(_do(Hand.flush), _same),
    Step(_do(Hand.merge), _same),
    follows=_always,
)
register("cursor", Step(Hand.move_cursor, _move_cursor), follows=_always, collection=False)
register("fill", _written("fill"), follows=_always)
register("batch", _written("batch"), follows=_always)
register(
    "threads",
    Step(_nothing, _change_of_threads(slice(1))),
    Step(write_by_threads, _change_of_threads(slice(1, None))),
    follows=_always,
)
