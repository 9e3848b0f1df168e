"""Filter expressions: `compile_filter('color == "red"', schema).mask(segment_view)`."""

from walvec.filter.compile import Filter, compile_filter
from walvec.filter.explain import Step

__all__ = ["Filter", "Step", "compile_filter"]
