"""The command `walvec explain`: how a query or a search finds its rows."""

from __future__ import annotations

import argparse
import json
from typing import Any

from walvec.client import MilvusClient

EPILOG = """\
The query is run, or with --vector or --ids the search, on a loaded collection; nothing is
changed. A segment's line says how many of its rows are alive, neither deleted nor replaced, and
how many of these the filter leaves (candidates). Below it stand the conditions of the filter in
the order in which they were evaluated: by an index, by a scan, or by a scan of the candidates
that the ones before had left; `estimated` is what an index said it would find. Last comes how
the candidates were searched.

examples:
  walvec explain ./mystore docs --filter 'color == "red" and year > 2000'
  walvec explain ./mystore docs --filter 'year > 2000' --vector '[0.1, 0.2, 0.3]' --limit 5
  walvec explain ./mystore docs --filter 'year > 2000' --ids 17 --params '{"ef": 128}'"""


def add_options(explain: argparse.ArgumentParser) -> None:
    """Those of this command alone."""
    explain.add_argument("collection", metavar="COLLECTION", help="its name, or an alias")
    explain.add_argument("--filter", default="", metavar="EXPRESSION", help="the filter")
    what = explain.add_mutually_exclusive_group()
    what.add_argument(
        "--vector", type=_json_list, metavar="JSON", help="search for this vector, or these"
    )
    what.add_argument(
        "--ids",
        nargs="+",
        metavar="PK",
        help="search for the vectors of the entities with these primary keys",
    )
    explain.add_argument("--field", metavar="NAME", help="the vector field to search")
    explain.add_argument("--limit", type=int, metavar="N", help="a search's limit (10), a query's")
    explain.add_argument(
        "--params", type=_json_object, metavar="JSON", help='search parameters: {"ef": 64}'
    )
    explain.add_argument("--partition", action="append", metavar="NAME", help="may be repeated")
    explain.add_argument("--database", default="", metavar="NAME", help="the collection's")


def run(options: argparse.Namespace) -> int:
    """Explain, and print it; the exit code."""
    with MilvusClient(options.store, read_only=True, db_name=options.database) as client:
        explanation = client.explain(
            options.collection,
            filter=options.filter,
            data=options.vector,
            ids=_keys(client, options.collection, options.ids),
            anns_field=options.field,
            limit=options.limit,
            search_params=options.params,
            partition_names=options.partition,
        )
    if options.json:
        print(json.dumps(explanation.to_dict(), ensure_ascii=False))
    else:
        print(explanation)
    return 0


def _keys(client: MilvusClient, collection: str, texts: list[str] | None) -> list[Any] | None:
    """Primary keys from the command line: numbers, unless the collection's are texts."""
    if texts is None or client.info(collection).schema.primary.is_text:
        return list(texts) if texts else None
    return [int(text) if text.lstrip("-").isdecimal() else text for text in texts]


def _json_list(text: str) -> list[Any]:
    value = _json(text)
    if not isinstance(value, list):
        raise argparse.ArgumentTypeError(f"{text!r} is not a JSON list")
    return value


def _json_object(text: str) -> dict[str, Any]:
    value = _json(text)
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"{text!r} is not a JSON object")
    return value


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not JSON: {error}") from None
