"""For the reference: what a docstring says of each argument becomes an item of a list."""

import re
from typing import Any

from griffe import Extension, Object

_ARGUMENT = re.compile(r"^((?:\w+, )*\w+): (?=\S)", re.MULTILINE)


class Listed(Extension):
    """Changes docstrings as they are read."""

    def on_instance(self, *, obj: Object, **others: Any) -> None:
        """A class, function or attribute."""
        if obj.docstring is not None:
            obj.docstring.value = listed(obj.docstring.value)


def listed(text: str) -> str:
    """The text, with lines that begin with `name: ` or `name, name: ` as a list."""
    first, *rest = text.split("\n\n")
    return "\n\n".join([first, *(_ARGUMENT.sub(_item, part) for part in rest)])


def _item(match: re.Match[str]) -> str:
    return "- " + ", ".join(f"`{name}`" for name in match[1].split(", ")) + ": "
