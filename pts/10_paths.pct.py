# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Import paths: functions by name
#
# A text cannot hold a function. It holds its name: `myapp.nodes.double` is what `from myapp.nodes import double` gives,
# and `myapp.nodes.Doubler.run` an attribute of a class there. This chapter finds what a path names, and the path of what
# is there.
#
# Finding imports modules, and importing runs them. So a path from a text that somebody else wrote is code that somebody
# else wrote, unless `allow` says which packages paths may name.

# %%
#|default_exp paths

# %%
#|export
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from importlib import import_module
from keyword import iskeyword
from types import ModuleType
from typing import Any

from netrun.core import DslFinding, ImportPathError, _told, unknown_name

# %% [markdown]
# ## What a path looks like
#
# Names joined by dots, a module first. Names with two underscores at both ends are refused: they lead into the inside of
# Python. Only `__main__`, the script that runs, may be the module.


# %%
#|exporti
_LONGEST = 500


def path_problem(path: Any, may_be_module: bool = False) -> str | None:
    """Why this is no path, or None if it is one. A module's name may do."""
    if not isinstance(path, str):
        return f"an import path is a text such as 'myapp.nodes.double', not {path!r}"
    if len(path) > _LONGEST:
        return f"an import path of more than {_LONGEST} characters"
    parts = path.split(".")
    for place, part in enumerate(parts):
        is_inner = part.startswith("__") and part.endswith("__") and not (part == "__main__" and place == 0)
        if not part.isidentifier() or iskeyword(part) or is_inner:
            return f"`{path}` is no import path such as `myapp.nodes.double`: {part!r} is no name"
    return (
        None
        if len(parts) > 1 or may_be_module
        else f"`{path}` names no function in a module, as `myapp.nodes.double` does"
    )


# %%
from netrun.paths import path_problem

assert path_problem("myapp.nodes.double") is None and path_problem("__main__.double") is None
for path in ["double", "a..b", "../x", "a.b()", "a.lambda", "myapp.f.__globals__", 3, "a." * 300]:
    print(path_problem(path))
    assert path_problem(path) is not None

# %% [markdown]
# ## What a path names
#
# With `allow=["myapp"]` a path has to begin with `myapp`, and nothing else is imported by name. It must not lead out
# again: not through a module that `myapp` has imported (`myapp.os.system`), and not to anything that can be called and was
# made elsewhere (`from os import system` in `myapp`, cached or in a `partial` too, or an instance of a class from there). Let `allow` name that package too where this is meant.


# %%
#|exporti
def _is_in(name: str, allow: Iterable[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in allow)


def packages(allow: str | Iterable[str] | None) -> list[str] | None:
    """What `allow` says, as a list: one name is one package, not its letters."""
    return None if allow is None else [allow] if isinstance(allow, str) else list(allow)


def _refused(path: str, message: str) -> ImportPathError:
    return ImportPathError(path, [DslFinding(message)])


def _import(path: str, name: str) -> ModuleType | None:
    """A module, or None if there is none of this name."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            return None
        raise _refused(path, f"`{path}`: importing `{name}` raised {_told(error)}") from error
    except (Exception, SystemExit) as error:
        raise _refused(path, f"`{path}`: importing `{name}` raised {_told(error)}") from error


def _attribute(path: str, found: Any, parts: list[str]) -> Any:
    """The next thing on a path: an attribute, or a module of a package."""
    try:
        return getattr(found, parts[-1])
    except AttributeError as error:
        name = ".".join(parts)
        module = _import(path, name) if isinstance(found, ModuleType) and hasattr(found, "__path__") else None
        if module is None:
            public = [known for known in dir(found) if not known.startswith("_")][:1000]
            nearest = unknown_name("name", parts[-1], public).split(" There is: ")[0].rstrip(".")
            raise _refused(path, f"`{path}`: in `{'.'.join(parts[:-1])}` {nearest}") from error
        return module


def _must_be_in(path: str, found: Any, parts: list[str], allow: list[str]) -> None:
    """Refuse what leads out of the packages that are allowed."""
    if isinstance(found, ModuleType):
        home = found.__name__ if found.__name__ != ".".join(parts) else None
    else:
        while isinstance(found, partial):
            found = found.func
        home = str(getattr(found, "__module__", None)) if callable(found) else None  # an instance has its class's
    if home is not None and not _is_in(home, allow):
        raise _refused(path, f"`{path}` leads to `{home}`, which is not in what may be named: {', '.join(allow)}")


# %%
#|export
def resolve_path(path: str, allow: Iterable[str] | None = None, may_be_module: bool = False) -> Any:
    """What a dotted path names. Imports the module it is in, which runs that module.

    allow: the packages or modules that a path may name, such as `["myapp"]`; None: any.
    may_be_module: whether a path of one name, which is a module, will do.

    Raises `ImportPathError` for what is no path, leads to nothing, or is not allowed (nothing is imported then), and for a
    module whose import raises, chained.
    """
    allowed = packages(allow)
    problem = path_problem(path, may_be_module)
    if problem is not None:
        raise _refused(str(path)[:_LONGEST], problem)
    if allowed is not None and not _is_in(path, allowed):
        raise _refused(path, f"`{path}` is not in what may be named: {', '.join(allowed) or 'nothing'}")
    parts = path.split(".")
    found: Any = _import(path, parts[0])
    if found is None:
        raise _refused(path, f"`{path}`: there is no module `{parts[0]}` to be found")
    for count in range(2, len(parts) + 1):
        found = _attribute(path, found, parts[:count])
        if allowed is not None:
            _must_be_in(path, found, parts[:count], allowed)
    return found


# %%
import os.path

from netrun import ImportPathError
from netrun.paths import resolve_path

assert resolve_path("os.path.join") is os.path.join
assert resolve_path("json.decoder.JSONDecoder.decode", allow=["json"]).__name__ == "decode"
for path, allow in [
    ("os.path.jion", None),
    ("nowhere_at_all.f", None),
    ("os.system", ["myapp"]),
    ("json.decoder.scanner.re.compile", ["json"]),
]:
    try:
        resolve_path(path, allow)
    except ImportPathError as error:
        print(error)
    else:
        raise AssertionError(path)

# %% [markdown]
# ## The path of what is there
#
# The other way round nothing is imported: a path is right when it leads to the very same thing in the modules that are
# loaded. It is made of the thing's own names, or, for a method, of its object's path; or the thing's module has it under
# some name. A lambda that no name was given has none, nor has a function within a function, or what a script defines (the
# next script has another `__main__`).


# %%
#|exporti
def loaded(path: str) -> Any:
    """What a path names in the modules that are imported already, or None."""
    parts = path.split(".")
    known = [count for count in range(len(parts), 0, -1) if ".".join(parts[:count]) in sys.modules]
    if not known:
        return None
    found: Any = sys.modules[".".join(parts[: known[0]])]
    for part in parts[known[0] :]:
        found = getattr(found, part, None)
    return found


def leads_to(path: str, thing: Any) -> bool:
    """Whether a path leads to a thing. A method is another object at each look."""
    there = loaded(path)
    is_method = hasattr(thing, "__self__") and type(there) is type(thing)
    return there is thing or (is_method and bool(there == thing))


def _names_of(thing: Any) -> Iterator[str]:
    """Its own names, and those under which its module has it."""
    module, name = getattr(thing, "__module__", None), getattr(thing, "__qualname__", None)
    if isinstance(thing, ModuleType):
        yield thing.__name__
    if isinstance(module, str) and isinstance(name, str):
        yield f"{module}.{name}"
    there = getattr(sys.modules.get(module), "__dict__", {}) if isinstance(module, str) else {}
    yield from (f"{module}.{name}" for name, value in list(there.items()) if value is thing)


def _candidates(thing: Any) -> Iterator[str]:
    """Paths that may lead to a thing."""
    yield from _names_of(thing)
    if hasattr(thing, "__self__") and hasattr(thing, "__name__"):
        yield from (f"{path}.{thing.__name__}" for path in _names_of(thing.__self__))


def found_at(thing: Any) -> str | None:
    """The path by which others find a thing, or None."""
    found = (path for path in _candidates(thing) if path_problem(path, isinstance(thing, ModuleType)) is None)
    return next((path for path in found if not path.startswith("__main__") and leads_to(path, thing)), None)


def why_no_path(thing: Any) -> str | None:
    """Why nothing else can find this thing by a path, or None if it can."""
    if found_at(thing) is not None:
        return None
    if isinstance(thing, ModuleType):
        return "the script that runs is no module"
    module, name = getattr(thing, "__module__", None), getattr(thing, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str):
        return f"an instance of {type(thing).__name__} has no path"
    if "<lambda>" in name:
        return "a lambda has no path"
    if "<locals>" in name:
        return f"`{name.rpartition('.')[2]}` is defined within a function, so no path leads to it"
    if module == "__main__":
        return f"`{name}` is defined in the script that runs, and not in a module"
    return f"`{module}.{name}` does not lead to it"


def path_of(thing: Any) -> str:
    """The path of something that has one."""
    path = found_at(thing)
    assert path is not None, thing
    return path


# %%
from functools import partial

from netrun.paths import path_of, why_no_path

assert why_no_path(resolve_path) is None and path_of(resolve_path) == "netrun.paths.resolve_path"
for thing in [lambda: 1, partial(print), "".join, assert_ := type("Here", (), {})]:
    print(why_no_path(thing))
    assert why_no_path(thing) is not None
