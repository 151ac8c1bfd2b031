# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What users have made, as bytes
#
# Values, exceptions and functions go to disk as pickles. Three things are asked of them:
#
# - **A class of the script is the script's again.** A class of `__main__` goes along with its code, but where the script that
#   reads has a class of this name, that one is taken: it is the one that the script compares with.
# - **What was one object is one again**, where values are pickled together.
# - **It is quick**, since a net stands still while it is copied.
#
# **Unpickling runs code.** Read nothing that you do not trust.

# %%
#|default_exp pickles

# %%
#|export
import pickle
from collections.abc import Iterator
from io import BytesIO
from typing import Any

# %% [markdown]
# ## One thing


# %%
#|exporti
def in_main(name: str) -> Any:
    """What the script that runs calls by this name, dots and all; None where there is nothing."""
    import sys

    found: Any = sys.modules.get("__main__")
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def main_class(name: str, pickled: bytes) -> Any:
    """The class of this name in the script that runs, or else the one that went along."""
    found = in_main(name)
    return found if isinstance(found, type) else pickle.loads(pickled)


def _pickler(file: Any) -> Any:
    """Pickles everything that cloudpickle can, and names the classes of the script."""
    import cloudpickle

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        """Leaves all else to cloudpickle."""

        def reducer_override(self, thing: Any) -> Any:
            """How a class of the script is pickled."""
            if isinstance(thing, type) and thing.__module__ == "__main__" and in_main(thing.__qualname__) is thing:
                return main_class, (thing.__qualname__, cloudpickle.dumps(thing))
            return super().reducer_override(thing)

    return Pickler(file, 5)


def to_pickle(thing: Any) -> bytes:
    """Pickle what users have made. Raises what pickling raises."""
    pickled = BytesIO()
    _pickler(pickled).dump(thing)
    return pickled.getvalue()


# %%
class Point:
    """A class of this notebook."""

    class Kind:
        """One inside another."""


assert pickle.loads(to_pickle(Point)) is Point and pickle.loads(to_pickle(Point.Kind)) is Point.Kind
made = to_pickle([Point(), Point.Kind])
there, Point = Point, None  # as where no script has it: the one that went along is taken
point, kind = pickle.loads(made)
assert type(point).__name__ == "Point" and kind.__qualname__ == "Point.Kind"
Point = there

# %% [markdown]
# ## Many things
#
# A net stands still while its values are pickled, so that is done in the quickest way that there is. A pickler that is
# written in C knows classes of the script by name only, so those go along beside. What an object of a plain class holds is
# its `__dict__`, and a dict is pickled five times as fast as the object. Where that would not be the same (the objects refer
# to each other), or the quick pickler fails (at a lambda), a slower way is taken.
#
# ```
#   [Point(1), 7, Point(2)]  ─>  kinds [Point]   which [0, -1, 0]   held [{x: 1}, 7, {x: 2}]
# ```


# %%
#|exporti
Pickled = tuple[bytes, bytes, dict[str, bytes]]  # kinds; which and held; classes of the script
PLAIN = {bytes, str, int, float, bool, type(None)}


def pickled_together(things: list[Any]) -> Pickled:
    """Pickle these. Raises what pickling raises."""
    kinds = [kind for kind in set(map(type, things)) - PLAIN if _is_its_dict(kind)]
    pickled = _quickly(things, kinds) or (_quickly(things, []) if kinds else None)
    return pickled or (_NONE, to_pickle((None, things)), {})


_NONE = pickle.dumps([], 5)


def _quickly(things: list[Any], kinds: list[type]) -> Pickled | None:
    """Pickled in C, those of some kinds by what they hold; None where that is not possible."""
    which, held = None, things
    if kinds:
        number = {kind: k for k, kind in enumerate(kinds)}
        which = [number.get(type(thing), -1) for thing in things]
        held = [thing if k < 0 else thing.__dict__ for k, thing in zip(which, things, strict=True)]
    try:
        pickled = pickle.dumps((which, held), 5)
        if any(_named(kind.__qualname__) in pickled for kind in kinds):  # one is inside of another thing
            return None
        named = pickle.dumps(kinds, 5) if kinds else _NONE
    except Exception:
        return None
    return named, pickled, dict(_classes(named + pickled)) if b"__main__" in named or b"__main__" in pickled else {}


def _named(name: str) -> bytes:
    """What is in a pickle that names this."""
    text = name.encode()
    return bytes([0x8C, len(text)]) + text if len(text) < 256 else text  # a short text, its length, itself


def _is_its_dict(kind: type) -> bool:
    """Whether the objects of a class are what their `__dict__` says, and are pickled by that."""
    import copyreg

    own = {name for each in kind.__mro__[:-1] for name in vars(each)}
    has_dict = type(kind) is type and kind.__dictoffset__ != 0
    return has_dict and not own & _WAYS and kind not in copyreg.dispatch_table


_WAYS = {"__slots__", "__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__new__", "__getnewargs__"}
_WAYS |= {"__getnewargs_ex__", "__getattribute__", "__setattr__"}


# %%
#|exporti
def _classes(pickled: bytes) -> Iterator[tuple[str, bytes]]:
    """The classes and functions of the script that may be named there, pickled with their code."""
    import sys

    import cloudpickle

    waiting = list(vars(sys.modules["__main__"]).values())
    while waiting:
        thing = waiting.pop()
        name = getattr(thing, "__qualname__", None)
        if getattr(thing, "__module__", None) != "__main__" or not isinstance(name, str) or in_main(name) is not thing:
            continue
        if _named(name) in pickled:
            yield name, cloudpickle.dumps(thing)
        waiting += vars(thing).values() if isinstance(thing, type) else ()


class _Unpickler(pickle.Unpickler):
    """Takes classes of the script from the script, or else those that went along."""

    def __init__(self, file: Any, classes: dict[str, bytes]) -> None:
        super().__init__(file)
        self._classes = classes

    def find_class(self, module: str, name: str) -> Any:
        """What a name stands for."""
        if module == "__main__" and in_main(name) is None and name in self._classes:
            return pickle.loads(self._classes[name])
        return super().find_class(module, name)


def unpickled_together(pickled: Pickled) -> list[Any]:
    """The things again. Raises whatever a user's class raises."""
    named, content, classes = pickled
    kinds, (which, held) = (_Unpickler(BytesIO(each), classes).load() for each in (named, content))
    if which is None:
        return list(held)
    made: dict[int, Any] = {}  # by what they hold, so that what was the same is the same
    for k, its in zip(which, held, strict=True):
        if k >= 0 and id(its) not in made:
            made[id(its)] = object.__new__(kinds[k])
            made[id(its)].__dict__.update(its)
    return [its if k < 0 else made[id(its)] for k, its in zip(which, held, strict=True)]


# %%
one, pair = Point(), [1, 2]
one.x = 1
again = unpickled_together(pickled_together([one, 7, pair, one, pair]))
assert type(again[0]) is Point and again[0].x == 1 and again[1:3] == [7, [1, 2]]
assert again[0] is again[3] and again[2] is again[4]
first, holder = unpickled_together(pickled_together([one, [one]]))
assert first is holder[0] and type(first) is Point
assert unpickled_together(pickled_together([lambda: 3, one]))[0]() == 3
