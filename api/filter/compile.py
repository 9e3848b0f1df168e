"""A filter expression and a schema -> a `Filter` that finds rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from typing import Any

from walvec.filter import keys
from walvec.filter.compiler import Compiler
from walvec.filter.explain import Step
from walvec.filter.failure import Unreadable, failure
from walvec.filter.functions import SAMPLE
from walvec.filter.kept import Kept
from walvec.filter.nodes import Call, Logical, Node
from walvec.filter.operands import Constant
from walvec.filter.parse import parse
from walvec.filter.plan import Plan
from walvec.filter.reader import Mask, Reader, Source
from walvec.filter.sample import SMALLEST, sampled
from walvec.timestamps import UTC, zone_of
from walvec.wal.errors import ExpressionException, ParamError
from walvec.wal.rows import Column
from walvec.wal.schema import Field, Schema
from walvec.wal.shown import shown

MOST_CHARACTERS = 1 << 20
"""Of the expressions of all filters that are kept, of which each counts for a few more."""


class Filter:
    """A compiled expression. Immutable, and usable by several threads."""

    __slots__ = ("_compiler", "_node", "_pks", "_plan", "_share", "expression", "field_ids",
                 "schema")  # fmt: skip

    def __init__(
        self, expression: str, schema: Schema, params: Mapping[str, Any], zone: tzinfo = UTC
    ) -> None:
        """Raises ExpressionException."""
        self.expression = expression
        self.schema = schema
        self._compiler = compiler = Compiler(expression, schema, params, zone)
        self._node = parse(expression)
        try:
            condition, self._share = _without_sample(self._node, compiler)
            self._plan: Plan | None = None if condition is None else compiler.plan(condition)
            self._pks = keys.only(self._node, schema.primary, compiler)
        except Unreadable as error:
            raise failure(expression, error.at, error.what) from None
        unused = sorted(set(params) - compiler.used, key=str)
        if unused:
            raise ExpressionException(
                message=f"filter: no {{{unused[0]}}} in the expression, but filter_params has it"
            )
        self.field_ids = frozenset(compiler.field_ids)

    def mask(self, rows: Source, trace: list[Step] | None = None) -> Mask:
        """Which of the rows match, (n,) bool, new. What was done for it is added to `trace`, a
        `Step` for each condition; the mask is the same without."""
        reader = Reader(rows, None, trace)
        mask = reader.all() if self._plan is None else self._plan.find(reader)
        return mask if self._share is None else sampled(mask, self._share, rows)

    def explain(self, rows: Source) -> list[Step]:
        """How the rows are found, in the order in which it is done. Evaluates the filter."""
        trace: list[Step] = []
        self.mask(rows, trace)
        return trace

    def pks(self, schema: Schema | None = None) -> Column | None:
        """The keys asked for, each once, if the expression is just `pk == x` or `pk in [...]`."""
        return self._pks if schema is None or schema.primary == self.schema.primary else None

    def key_values(self, field: Field) -> Column | None:
        """Values of a field outside of which no row matches, each once, as a column of its type;
        None where the expression does not restrict it to some, by == and in."""
        return keys.restricted(self._node, field, self._compiler)

    def __repr__(self) -> str:
        return f"Filter({self.expression!r})"


def _without_sample(node: Node, compiler: Compiler) -> tuple[Node | None, float | None]:
    """The expression but for a random_sample at its end, and the share of that."""
    if isinstance(node, Call) and node.name == SAMPLE:
        return None, _share(node, compiler)
    if isinstance(node, Logical) and node.is_and:
        *others, last = node.operands
        if isinstance(last, Call) and last.name == SAMPLE:
            rest = others[0] if len(others) == 1 else Logical(
                node.at, True, others, start=node.start, stop=others[-1].stop
            )  # fmt: skip
            return rest, _share(last, compiler)
    return node, None


def _share(node: Call, compiler: Compiler) -> float:
    operand = compiler.operand(node.arguments[0]) if len(node.arguments) == 1 else None
    share = operand.value if isinstance(operand, Constant) else None
    if not isinstance(share, float) or not SMALLEST < share < 1 - SMALLEST:
        raise Unreadable(node.at, f"{SAMPLE} takes one number between 0 and 1, as 0.01")
    return share


_filters: Kept[tuple[int, str, str | None], Filter] = Kept(
    MOST_CHARACTERS, lambda kept: len(kept.expression) + 100
)


def compile_filter(
    expression: str,
    schema: Schema,
    params: Mapping[str, Any] | None = None,
    collection_name: str = "",
    timezone: str | None = None,
) -> Filter:
    """The filter of an expression that is not empty; `params` fill its `{templates}`, `timezone`
    (an IANA name, None for UTC) is that of times without an offset.

    Compiled once for each schema object, unless it has params: then the text is read once.
    Raises ExpressionException, whose message shows the place, and ParamError for arguments of
    wrong types.
    """
    if not isinstance(expression, str):
        raise ParamError(message=f"collection {collection_name}: filter must be a string, "
                         f"got {shown(expression)}")  # fmt: skip
    if params is not None and not isinstance(params, Mapping):
        raise ParamError(message=f"filter_params must be a dict, got {shown(params)}")
    if params:
        return Filter(expression, schema, params, zone_of(timezone))
    # By identity, as hashing a schema takes long. The filter keeps the schema alive.
    key = (id(schema), expression, timezone)
    found = _filters.get(key)
    if found is None:
        found = Filter(expression, schema, {}, zone_of(timezone))
        _filters.put(key, found)
    return found
