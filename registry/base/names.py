"""Names as text: what people can read, every face can write, and no two of which are alike."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable

# Control characters, line breaks, what turns the direction of the text around it, and lone surrogates.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
BYTES = range(0xDC80, 0xDD00)  # how Python keeps the bytes of a name that is no UTF-8, from 0x80 on


def readable(text: str, lines: bool = False) -> str:
    r"""The text with an escape for each character that cannot be shown or written; other text stays as it is.

    A name is made readable once, where it comes in: from a file system, an archive, a plugin, a client. What opens the
    file keeps the name as it is. A byte that is no UTF-8 becomes `\xe9`, a lone surrogate `\ud800`, a line break `\n`.

    Args:
        text: Any text, such as the name of a file.
        lines: Keep line breaks and tabs, as texts for people may have them.
    """
    return UNPRINTABLE.sub(lambda found: found[0] if lines and found[0] in "\n\t" else _escape(found[0]), text)


def _escape(character: str) -> str:
    code = ord(character)
    return chr(code - 0xDC00 if code in BYTES else code).encode("unicode_escape").decode()


def on_disk(name: str) -> str:
    """What two names have in common that are one file where case and composed letters make no difference."""
    return unicodedata.normalize("NFC", name).casefold()


def distinct(names: Iterable[str], key: Callable[[str], str] = str, taken: Iterable[str] = ()) -> list[str]:
    """The names in their order, those that came before with " (2)", " (3)" and so on behind.

    Args:
        names: The names.
        key: Names of one key are alike, such as `on_disk`.
        taken: Names that are in use already.
    """
    used = {key(name) for name in taken}
    next_number: dict[str, int] = {}
    found = []
    for name in names:
        free, number = name, next_number.get(name, 2)
        while key(free) in used:
            free, number = f"{name} ({number})", number + 1
        next_number[name] = number
        used.add(key(free))
        found.append(free)
    return found
