"""Filter expressions: `compile_filter('color == "red"', schema).mask(column, n)`."""

from walvec.filter.compile import Filter, compile_filter

__all__ = ["Filter", "compile_filter"]
