"""Strings and numbers as they stand in a filter expression -> Python values."""

from __future__ import annotations

import math
import re

ESCAPE = re.compile(
    r"\\(?:([0-7]{1,3})|x([0-9a-fA-F]+)|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(\r\n|.))", re.DOTALL
)
SINGLE = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", "'": "'", '"': '"', "?": "?", "\n": "", "\r\n": "",
}  # fmt: skip


def string_value(token: str) -> str:
    """The string that a literal such as 'it\\'s' or u8"x" means. Raises ValueError.

    A backslash before a character that it does not escape stays, so that both "50\\%" and
    "50\\\\%" are the pattern 50\\% of `like`.
    """
    quote = min(p for p in (token.find('"'), token.find("'")) if p >= 0)
    body = token[quote + 1 : -1]
    if "\\" not in body:
        return body
    text = ESCAPE.sub(_unescaped, body)
    try:
        text.encode()
    except UnicodeEncodeError:
        # Two \u escapes may be the halves of one character.
        text = text.encode("utf-16", "surrogatepass").decode("utf-16")
    return text


def _unescaped(match: re.Match[str]) -> str:
    octal, hexadecimal, short, long, single = match.groups()
    if octal:
        return chr(int(octal, 8))
    if digits := hexadecimal or short or long:
        return chr(int(digits, 16))
    return SINGLE.get(single, "\\" + single)


def raw_string_value(token: str) -> str:
    """The string that r"..." means: what stands between the quotes."""
    return token[2:-1]


def integer_value(token: str) -> int:
    """Decimal, 0x, 0b, or octal with a leading 0. Raises ValueError."""
    if token[:2].lower() in {"0x", "0b"}:
        return int(token, 0)
    return int(token, 8 if len(token) > 1 and token[0] == "0" else 10)


def float_value(token: str) -> float:
    """Decimal or hexadecimal. Raises ValueError or OverflowError beyond the range."""
    value = float.fromhex(token) if token[:2].lower() == "0x" else float(token)
    if not math.isfinite(value):
        raise ValueError(token)
    return value
