"""Sums of a user's SQL, written so that they are exact or an error.

The engine's sum of whole numbers wraps around at 64 bits, and a reporter may write counts that make it do so. So each
sum is compared with the same sum in floating point, and raises when they differ by as much as only an overflow makes
(2^64; rounding stays far below 2^62). Averages are computed in floating point from the start.
In go texts that we wrote, out comes such a text.
"""

from __future__ import annotations

from collections.abc import Sequence

from dmarcworks.errors import QueryError

__all__ = ["DEEPEST", "NAMES", "OVERFLOW", "TOO_LARGE", "checked"]

# Each of these writes its argument several times, so their nesting is bounded.
DEEPEST = 2
NAMES = frozenset({"sum", "sumif", "avg", "avgif", "avgweighted", "arraysum"})

# The engine's error for an overflow, and the text that replaces it.
OVERFLOW = "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"
TOO_LARGE = "a sum is larger than 64 bits hold; sum(toFloat64(…)) gives it rounded"

_OVERFLOW_STEP = 2**62
_CHECK = "throwIf(ifNull(abs(toFloat64({exact}) - {rounded}), 0) > {step})"


def checked(name: str, arguments: Sequence[str], *, distinct: bool = False, over: str = "") -> str:
    """A call of one of `NAMES`; `over` is " OVER (…)" for a window."""
    if not arguments:
        raise QueryError(f"Input was invalid: {name} needs an argument")
    kind, (first, *rest) = name.lower(), arguments
    word = "DISTINCT " if distinct else ""
    exact = f"{name}({', '.join([word + first, *rest])}){over}"
    floats = [f"{word}toFloat64({first})", *(f"toFloat64({one})" if kind == "avgweighted" else one for one in rest)]
    rounded = f"{name}({', '.join(floats)}){over}"
    if kind.startswith("avg"):
        return rounded
    if kind == "arraysum":
        rounded = f"arraySum(each_ -> toFloat64(each_), {', '.join(arguments)})"
    elif distinct:
        # Different numbers may be one number in floating point: they are made distinct before the conversion.
        values = f"groupUniqArray{'If' if kind == 'sumif' else ''}({', '.join(arguments)}){over}"
        rounded = f"arraySum(each_ -> toFloat64(each_), {values})"
    return f"({exact} + {_CHECK.format(exact=exact, rounded=rounded, step=_OVERFLOW_STEP)})"
