"""All cases, by name: modules of cases, one per subject."""

from differential.case import CASES
from differential.cases import (
    collections,
    coroutines,
    filters,
    organisation,
    orm,
    rows,
    schemas,
    searches,
)

__all__ = [
    "CASES",
    "collections",
    "coroutines",
    "filters",
    "organisation",
    "orm",
    "rows",
    "schemas",
    "searches",
]
