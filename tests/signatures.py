"""Arguments of functions: how those of ours differ from those of pymilvus."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from types import FunctionType
from typing import Any

VARIADIC = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)


def differences(theirs: Any, ours: Any) -> list[str]:
    """How the arguments of two functions differ, in words; empty if they do not."""
    if isinstance(theirs, property) or isinstance(ours, property):
        return [] if isinstance(ours, property) else ["a method, no property"]
    one, other = (_parameters(function) for function in (theirs, ours))
    if _signature(ours).return_annotation == "NoReturn":
        return ["raises"]
    keywords = all_keywords(ours)
    found = [f"`{name}` raises" for name, mine in other.items() if mine.annotation == "None"]
    for name, parameter in one.items():
        if name in other:
            if (text := _default(parameter)) != (mine := _default(other[name])):
                found.append(f"`{name}`: {mine}, in pymilvus {text}")
        elif name in keywords:
            found.append(f"`{name}` by keyword")
        else:
            found.append(f"`{name}` raises")
    shared = [name for name in one if name in other]
    if shared != [name for name in other if name in one]:
        found.append("in another order")
    more = [name for name in other if name not in one and f"`{name}` raises" not in found]
    return found + [f"`{name}` more" for name in more]


def _signature(function: Any) -> inspect.Signature:
    return inspect.signature(getattr(function, "__func__", function))


def _parameters(function: Any) -> dict[str, inspect.Parameter]:
    parameters = _signature(function).parameters.values()
    hidden = ("self", "cls")
    return {p.name: p for p in parameters if p.kind not in VARIADIC and p.name not in hidden}


def _default(parameter: inspect.Parameter) -> str:
    value = parameter.default
    if value is inspect.Parameter.empty:
        return "required"
    return f"`{getattr(value, 'value', value)!r}`"


def all_keywords(function: Any) -> list[str]:
    """The keywords that a function of ours honours beyond its arguments: those it hands to
    check_options."""
    function = inspect.unwrap(getattr(function, "__func__", function))
    if not isinstance(function, FunctionType):
        return []
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    known: list[str] = []
    for call in calls:
        name = _target(call.func)
        if name == "check_options":
            for argument in call.args[2:]:
                known += _texts(argument, tree, function.__globals__)
        elif name.startswith("check_") and name.endswith("_options"):
            known += all_keywords(function.__globals__[name])
    return sorted(set(known))


def _texts(node: ast.AST, tree: ast.AST, names: dict[str, Any]) -> Iterator[str]:
    """The strings in an expression, in what its names stand for in the function or module."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.Name):
        for assigned in ast.walk(tree):
            if isinstance(assigned, ast.Assign) and node.id in map(_target, assigned.targets):
                yield from _texts(assigned.value, tree, names)
        value = names.get(node.id, ())
        yield from (v for v in value if isinstance(v, str)) if not callable(value) else ()
    else:
        for child in ast.iter_child_nodes(node):
            yield from _texts(child, tree, names)


def _target(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def keywords(function: Any) -> list[str]:
    """The keywords that a function of ours honours, and has not among its arguments."""
    if isinstance(function, property):
        return []
    return [k for k in all_keywords(function) if k not in _parameters(function)]
