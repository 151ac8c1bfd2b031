# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A schema for editors
#
# Editors that know the JSON Schema of a TOML file complete its keys and mark what is wrong while one writes. The schema is
# made from the options' own fields. What it cannot say (does this port exist?) `netrun validate` says.

# %%
#|default_exp schema

# %%
#|export
from dataclasses import fields
from typing import Any

from netrun.core import NetConfig, NodeConfig
from netrun.making import FUNCTIONS
from netrun.pools import POOL_OPTIONS
from netrun.description import NET_OPTIONS, NODE_OPTIONS

# %%
#|exporti
Schema = dict[str, Any]
_ANY: Schema = {"type": "object"}
_NAMES: Schema = {"type": "array", "items": {"type": "string"}}
_PATH: Schema = {"type": "string", "pattern": r"^[^\W\d]\w*(\.[^\W\d]\w*)*$", "description": "an import path"}
_WORDS: dict[str, list[Any]] = {
    "check": ["warn", "error", False],
    "on_error": ["continue", "pause", "raise"],
    "pool_init_mode": ["per_worker", "global"],
    "start_method": ["fork", "forkserver", "spawn"],
}


def _table(properties: Schema, **more: Any) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False, **more}


def _tables(inner: Schema) -> Schema:
    return {"type": "object", "additionalProperties": inner}


def _option(option: Any, kind: str) -> Schema:
    """What an option may be, by its annotation."""
    if option.name in _WORDS:
        return {"enum": _WORDS[option.name]}
    if kind == "table":
        own = {"size": {"type": "integer", "minimum": 1}, "start_method": {"enum": _WORDS["start_method"]}}
        return _tables(_table({name: own[name] for name in POOL_OPTIONS[option.name]}, required=["size"]))
    text = str(option.type)
    if kind == "exceptions" or "tuple" in text:
        return {"anyOf": [{"type": "string"}, _NAMES]}
    if kind == "callable":
        return {"type": "string", "description": "an import path" if option.name != "dead_letter_queue" else
                '"memory", "file", "callback", or an import path'}  # fmt: skip
    if option.name == "checkpoint_every":
        return {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "pattern": "^[0-9]+ epochs?$"}]}
    names = (("bool", "boolean"), ("float", "number"), ("int", "integer"))
    return {"type": next((name for word, name in names if word in text), "string")}


def _options(config: Any, kinds: dict[str, str]) -> Schema:
    return {
        option.name: _option(option, kinds[option.name])
        for option in fields(config)
        if kinds.get(option.name, "never") != "never"
    }


def _condition(most: Schema) -> Schema:
    count: Schema = {"anyOf": [{"type": "integer", "minimum": 0}, {"const": "all"}]}
    when = {"type": "string", "description": 'an expression such as "nonempty(a) and count(b) >= 2"'}
    takes = {"anyOf": [{"type": "string"}, _NAMES, _tables(count)]}
    return _tables(_table({"when": when, "ports": takes, "max_salvos": most}, required=["when"]))


def _node() -> Schema:
    yes_or_no = {"type": "boolean"}
    of_class = _table({"class": {"type": "string"}, "isinstance": yes_or_no, "subclass": yes_or_no}, required=["class"])
    port = {"slots": {"type": "integer", "minimum": 0}, "type": {"anyOf": [{"type": "string"}, of_class]}}
    ports = {"anyOf": [_NAMES, _tables(_table(port))]}
    limit: Schema = {"anyOf": [{"type": "integer", "minimum": 0}, {"const": "infinite"}]}
    return _table(
        {
            "in_ports": ports,
            "out_ports": ports,
            "in_salvo_conditions": _condition({"const": 1}),
            "out_salvo_conditions": _condition(limit),
            **dict.fromkeys(FUNCTIONS, _PATH),
            "factory": _PATH,
            "factory_args": _ANY,
            "options": _table(_options(NodeConfig, NODE_OPTIONS)),
            "meta": _ANY,
        }
    )


# %%
#|export
def schema() -> Schema:
    """The JSON Schema of a net's TOML."""
    end = {"type": "string", "description": "Node.port; names that hold dots in double quotes"}
    edge = _table({"from": end, "to": end, "meta": _ANY}, required=["from", "to"])
    net = _table({**_options(NetConfig, NET_OPTIONS), "meta": _ANY})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "a netrun net",
        **_table({"net": net, "nodes": _tables(_node()), "edges": {"type": "array", "items": edge}}),
    }


# %%
from netrun.schema import schema

net = schema()["properties"]["net"]["properties"]
assert net["max_epochs"] == {"type": "integer"} and net["on_error"]["enum"] == ["continue", "pause", "raise"]
assert "executor_pools" not in net
