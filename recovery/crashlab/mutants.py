"""The mutants of walvec, and an adapter with one of them switched on."""

from __future__ import annotations

from walvec.crashlab import log_mutants, state_mutants
from walvec.crashlab.adapter import Adapter, name_of
from walvec.crashlab.mutant import MUTANTS, Mutant, MutatedAdapter
from walvec.crashlab.walvec_adapter import WalvecAdapter
from walvec.wal.errors import ParamError

__all__ = ["MUTANTS", "Mutant", "mutant_named", "mutated"]

PLANTED_BY = (log_mutants, state_mutants)
"""Importing these registers what they plant."""


def mutant_named(name: str) -> Mutant:
    """The mutant of this name. Raises ParamError."""
    if name not in MUTANTS:
        raise ParamError(message=f"there is no mutant {name!r}; there are {', '.join(MUTANTS)}")
    return MUTANTS[name]


def mutated(adapter: Adapter, name: str) -> Adapter:
    """The adapter, one of walvec's, with the mutant of this name. Raises ParamError."""
    planted = mutant_named(name)
    if not isinstance(adapter, WalvecAdapter):
        raise ParamError(
            message=f"{name} is a mutant of walvec, and {name_of(adapter)} is another store: "
            "leave it out"
        )
    return MutatedAdapter(adapter, planted)
