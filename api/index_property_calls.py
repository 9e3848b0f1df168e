"""Client methods on the properties of indexes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from walvec.arguments import check_texts
from walvec.index_calls import IndexCalls, index_of
from walvec.properties import MMAP_PROPERTIES, check_properties, check_property_name
from walvec.segments import catalog_commands
from walvec.session import check_options


class IndexPropertyCalls(IndexCalls):
    """Methods that alter indexes without building them anew."""

    def alter_index_properties(
        self,
        collection_name: str,
        index_name: str,
        properties: dict[str, Any],
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Set `mmap.enabled` of an index, from the next load on. Raises IndexNotExistException."""
        check_options("alter_index_properties", kwargs)
        texts = check_properties(f"index {index_name}", properties, MMAP_PROPERTIES)
        self._alter_index(collection_name, index_name, texts, [], timeout)

    def drop_index_properties(
        self,
        collection_name: str,
        index_name: str,
        property_keys: list[str],
        timeout: float | None = None,
        **kwargs: Any,
    ) -> None:
        """Let `mmap.enabled` of an index be that of its collection again."""
        check_options("drop_index_properties", kwargs)
        keys = check_texts("property_keys", property_keys)
        for key in keys:
            check_property_name(f"index {index_name}", key, MMAP_PROPERTIES)
        self._alter_index(collection_name, index_name, {}, keys, timeout)

    def _alter_index(
        self,
        collection_name: str,
        index_name: str,
        new: dict[str, str],
        dropped: list[str],
        timeout: float | None,
    ) -> None:
        info = self.info(collection_name)
        index = index_of(info, index_name)
        kept = {k: v for k, v in {**index.properties, **new}.items() if k not in dropped}
        altered = replace(index, properties=kept)
        self._execute(catalog_commands.alter_index(info.id, info.name, altered), timeout)
