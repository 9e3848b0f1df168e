"""A seeded list of commands, what they make of a store, and a process that runs them.

    python workload.py STORE SEED

prints the number of each command once it is acknowledged. `commands_of(seed)` gives the same
list to the one who kills the process, and `Model` says what the store holds after any of them.
"""

from __future__ import annotations

import random
import sys
from typing import Any, NamedTuple

import numpy as np

DIM = 4
COMMANDS = 34
SEGMENT_MAX_BYTES = 12 * DIM * 4
"""Twelve rows: some inserts seal by size."""
CHECKPOINT_EVENTS = 6
"""Some ten checkpoints on the way."""


class Command(NamedTuple):
    """One call: `kind` and its arguments."""

    kind: str
    name: str
    ids: tuple[int, ...] = ()
    version: int = 0


def commands_of(seed: int) -> list[Command]:
    """The commands of a run. Every kind comes, and every name is made before it is used."""
    rng = random.Random(seed)
    commands = [Command("create", "a")]
    present = {"a": {"loaded": True, "index": False}}
    while len(commands) < COMMANDS:
        version = len(commands)
        absent = [n for n in "abc" if n not in present]
        kinds = ["insert"] * 6 + ["upsert", "delete", "flush", "built", "index", "load"]
        kinds += ["release", "drop", *(["create"] if absent else [])]
        kind = rng.choice(kinds)
        if kind == "create":
            name = rng.choice(absent)
            present[name] = {"loaded": True, "index": False}
            commands.append(Command(kind, name))
            continue
        name = rng.choice(sorted(present))
        flags = present[name]
        if kind == "drop":
            if len(present) == 1:
                continue
            del present[name]
        elif kind == "load":
            flags["loaded"] = True
        elif kind == "release":
            flags["loaded"] = False
        elif kind == "index":
            if flags["index"]:
                continue
            flags["index"] = True
        count = {"insert": 5, "upsert": 3, "delete": 4}.get(kind, 0)
        ids = tuple(rng.sample(range(30), rng.randint(1, count))) if count else ()
        commands.append(Command(kind, name, ids, version))
    last = sorted(present)[0]
    return [*commands, Command("insert", last, (1, 2, 3), 99), Command("built", last)]


def vector(key: int, version: int) -> list[float]:
    """The vector of a row: small whole numbers."""
    return [float(key), float(version), float(key % 3), float(version % 5)]


class Model:
    """What a store holds: collection -> [loaded, {id: version}]."""

    def __init__(self) -> None:
        self.collections: dict[str, list[Any]] = {}

    def apply(self, command: Command) -> None:
        """The effect of one command."""
        kind, name, ids, version = command
        if kind == "create":
            self.collections[name] = [True, {}]
        elif kind == "drop":
            del self.collections[name]
        elif kind in ("insert", "upsert"):
            self.collections[name][1].update(dict.fromkeys(ids, version))
        elif kind == "delete":
            for key in ids:
                self.collections[name][1].pop(key, None)
        elif kind in ("load", "release"):
            self.collections[name][0] = kind == "load"


def model_after(commands: list[Command]) -> dict[str, list[Any]]:
    """The collections after these commands."""
    model = Model()
    for command in commands:
        model.apply(command)
    return model.collections


def call(client: Any, command: Command) -> None:
    """Send one command to a walvec client."""
    kind, name, ids, version = command
    if kind == "create":
        client.create_collection(name, DIM, metric_type="L2")
    elif kind in ("insert", "upsert"):
        rows = [
            {"id": k, "vector": np.array(vector(k, version), np.float32), "version": version}
            for k in ids
        ]
        getattr(client, kind)(name, rows)
    elif kind == "delete":
        client.delete(name, ids=list(ids))
    elif kind == "flush":
        client.flush(name)
    elif kind == "built":
        client.flush(name, wait=True, timeout=60)
    elif kind == "index":
        client.release_collection(name)
        index = client.prepare_index_params()
        index.add_index("vector", "ANNOY", metric_type="L2", params={"n_trees": 2})
        for old in client.list_indexes(name):
            client.drop_index(name, old)
        client.create_index(name, index)
        client.load_collection(name)
    elif kind == "load":
        client.load_collection(name)
    elif kind == "release":
        client.release_collection(name)
    elif kind == "drop":
        client.drop_collection(name)
    else:
        raise ValueError(kind)


def main() -> None:
    """Run all commands, and acknowledge each."""
    from walvec import MilvusClient

    folder, seed = sys.argv[1], int(sys.argv[2])
    settings = {"segment_max_bytes": SEGMENT_MAX_BYTES, "checkpoint_events": CHECKPOINT_EVENTS}
    with MilvusClient(folder, **settings) as client:
        for number, command in enumerate(commands_of(seed), 1):
            call(client, command)
            print(number, flush=True)


if __name__ == "__main__":
    main()
