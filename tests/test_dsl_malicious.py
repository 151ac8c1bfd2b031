"""Texts that mean harm: they take little time and memory, end in a clear error, and import nothing."""

import subprocess
import sys
import tracemalloc

import pytest

from netrun import DslError, FactoryError, ImportPathError, Net, NetDefinition
from netrun.paths import resolve_path
from tests.nets import environment, python

DEEP = 10_000


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * DEEP,
        "a = " + "[" * DEEP + "]" * DEEP,
        "a = " + "{a=" * DEEP,
        "[net]\nmeta = " + "{a=" * 200 + "1" + "}" * 200,
        "[net]\nmeta = { a = " + "[" * 200 + "]" * 200 + " }",
        "(" * DEEP,
        '[nodes.A]\nin_ports = ["a"]\nin_salvo_conditions.x = { when = "' + "(" * DEEP + '" }',
        '[nodes.A]\nin_ports = ["a"]\nin_salvo_conditions.x = { when = "' + "not " * DEEP + 'full(a)" }',
        ".".join(["a"] * 100_000) + " = 1",
        "[" + ".".join(["a"] * 100_000) + "]",
        "x = { " + ".".join(["a"] * 100_000) + " = 1 }",
        " . ".join(['"a"'] * 100_000) + " = 1",
        "x = " + "9" * 1_000_000,
        "x = 1." + "9" * 1_000_000,
        'x = "' + "\\" * 1_000_001,
        'x = """' + '\\"""' * 100_000,
        "a" * 5_000_000,
        "=" * 100_000,
        "[[a]]\n" * 100_000,
        "[a]\n" * 100_000,
        "#" * 5_000_000 + "\nx = 1",
        "\n" * 5_000_000 + "x = 1",
        '"' * 100_000,
        "'" * 100_001,
        '[nodes.A]\nexec_node_func = "' + "a." * 100_000 + 'a"',
        'edges = [{ from = "' + "a." * 100_000 + '", to = "x" }]',
        "[nodes.A]\n" + "".join(f"opt{n} = 1\n" for n in range(100_000)),
        "".join(f"[nodes.A{n}]\nin_prts = 1\n" for n in range(20_000)),
        "edges = [" + '{ from = "A.a", to = "B" },' * 100_000 + "]",
        "".join(f"[nodes.n{n:09}]\n" for n in range(10_000))
        + "\n[[edges]]\nfrom='m000000000.x'\nto='m000000001.x'" * 100,
        "a = [" + "1," * 3_000_000 + "]",
    ],
    ids=lambda text: f"{text[:30]!r}",
)
def test_a_text_that_means_harm_is_refused(text):
    """In a process of its own with twenty seconds of processor time and a gigabyte."""
    code = """
import resource, sys
resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
from netrun import DslError, NetDefinition
try:
    NetDefinition.from_toml(sys.stdin.read())
except DslError as error:
    assert len(str(error)) < 2_000_000
    print("refused")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], input=text, env=environment(False), capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr[-500:]) == ("refused\n", "")


def test_a_text_of_50_megabytes_is_refused_at_once():
    """It is not even looked at."""
    text = "# " + "x" * 50_000_000
    tracemalloc.start()
    with pytest.raises(DslError, match="50,000,002 characters are more than"):
        NetDefinition.from_toml(text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_a_file_of_50_megabytes_is_not_even_read(tmp_path):
    """Its size is known before."""
    file = tmp_path / "large.toml"
    with open(file, "wb") as large:
        large.truncate(50_000_000)
    tracemalloc.start()
    with pytest.raises(DslError, match="50,000,000 bytes are more than"):
        NetDefinition.from_file(file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_a_file_that_is_no_text(tmp_path):
    """Bytes that are no UTF-8."""
    file = tmp_path / "latin.toml"
    file.write_bytes(b"[nodes.gr\xfc\xdfe]\n")
    with pytest.raises(DslError, match=r"latin\.toml: this is no text in UTF-8"):
        NetDefinition.from_file(file)


def test_lone_surrogates_are_refused():
    """They could not be written to a file."""
    with pytest.raises(DslError, match="line 2, column 6: half of a surrogate pair"):
        NetDefinition.from_toml('[nodes.A]\nx = "\ud800"')


@pytest.fixture
def canary(tmp_path, monkeypatch):
    """A module `canary_app` that leaves a file when it is imported."""
    (tmp_path / "canary_app.py").write_text(
        f"open({str(tmp_path / 'sang')!r}, 'w').close()\n"
        "import os\n"
        "from os import system as run\n"
        "from functools import partial\n"
        "class Bad(Exception): pass\n"
        "class Sub:\n"
        "    @staticmethod\n"
        "    def get_node_spec(func=None): return {}\n"
        "    @staticmethod\n"
        "    def get_node_funcs(func=None): return (None,) * 4\n"
        "def f(ctx, packets): pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "sang"
    sys.modules.pop("canary_app", None)


NAMING = """
[net]
error_callback = "canary_app.f"

[nodes.A]
exec_node_func = "canary_app.f"
start_node_func = "canary_app.f"
options = { retry_on = "canary_app.Bad" }

[nodes.B]
factory = "netrun.factories.filter"
factory_args = { predicate = "canary_app.f" }

[nodes.C]
factory = "canary_app.Sub"
in_ports = ["in"]
"""


def test_parsing_imports_nothing(canary):
    """Nor does building without resolving, nor writing, nor `allow`, which forbids before it imports."""
    definition = NetDefinition.from_toml(NAMING)
    assert definition.to_toml() == NAMING
    net = definition.build(resolve=False)
    assert net.to_toml() == NAMING
    assert net.get_node_config("A").retry_on is None
    with pytest.raises(ImportPathError) as caught:
        definition.build(allow=["other"])
    assert not canary.exists()
    assert len(caught.value.findings) == 6
    definition.build()
    assert canary.exists()


def test_without_a_factory_there_are_no_ports(canary):
    """Where the text does not give them."""
    with pytest.raises(
        FactoryError, match="node 'C': its ports are not in the text, and resolve=False imports no factory"
    ):
        Net.from_toml(NAMING.replace('in_ports = ["in"]', ""), resolve=False)
    assert not canary.exists()


@pytest.mark.parametrize(
    "text",
    [
        '[nodes.A]\nexec_node_func = "os.system"',
        '[nodes.A]\nstop_node_func = "os.system"',
        '[nodes.A]\nfactory = "os.path"',
        '[nodes.A]\nfactory = "os"',
        '[nodes.A]\nfactory = "netrun.factories.filter"\nfactory_args = { predicate = "os.system" }',
        '[nodes.A]\nfactory = "netrun.factories.from_function"\nfactory_args = { func = "os.system" }',
        '[nodes.A]\noptions = { retry_on = "shutil.Error" }',
        '[net]\nerror_callback = "os.system"',
        '[net]\ndead_letter_queue = "os.system"',
        '[nodes.A]\nexec_node_func = "canary_app.os.system"',
        '[nodes.A]\nexec_node_func = "canary_app.run"',
        '[nodes.A]\nexec_node_func = "canary_apple.f"',
        '[nodes.A]\nexec_node_func = "netrun.factories.inspect.os.system"',
        '[nodes.A]\nfactory = "netrun.factories.partial"',
        '[nodes.A]\nexec_node_func = "netrun.paths.import_module"',
    ],
)
def test_allow_holds_for_everything_that_is_named(canary, text):
    """Functions, factories, their arguments, exception classes, callbacks; directly or by way of what is allowed."""
    with pytest.raises((ImportPathError, FactoryError)) as caught:
        Net.from_toml(text, allow=["canary_app"])
    assert isinstance(caught.value, ImportPathError)
    assert "may be named" in str(caught.value)


def test_one_package_that_is_allowed_is_no_list_of_letters(canary):
    """`allow="canary_app"` is a slip that must not open the door to `c` and `a`."""
    Net.from_toml(NAMING, allow="canary_app")
    with pytest.raises(ImportPathError, match="may be named: ab"):
        resolve_path("a.b", allow="ab")


def test_what_is_allowed_is_found(canary):
    """And what netrun ships, and Python's own exceptions."""
    net = Net.from_toml(NAMING + '[nodes.D]\noptions.retry_on = "OSError"', allow=["canary_app"])
    assert net.get_node_config("D").retry_on == (OSError,)


@pytest.mark.parametrize("path", ["", ".", "a..b", "../x", "/etc/passwd", "a", "a.", ".a", "a b.c", "a.b\n",
                                  "os.system ",
                                  "__import__.x", "a.__globals__", "a." * 1000, "é" * 501, "a.b.", "a.1", None, 3,
                                  b"a.b", "os.\x00"])  # fmt: skip
def test_what_is_no_path(path):
    """One error, without an import."""
    with pytest.raises(ImportPathError):
        resolve_path(path)


def test_a_module_that_raises_is_told_and_chained(tmp_path, monkeypatch):
    """With the text's place."""
    (tmp_path / "broken_app.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportPathError) as caught:
        Net.from_toml('[nodes.A]\nexec_node_func = "broken_app.f"')
    assert str(caught.value) == (
        "line 2, column 18: `broken_app.f`: importing `broken_app` raised ZeroDivisionError: division by zero\n"
        '    exec_node_func = "broken_app.f"\n'
        "                     ^^^^^^^^^^^^^^"
    )
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_reading_a_text_imports_no_tomlkit():
    """Which is slow to import, and needed only to change a text."""
    code = (
        "import sys; from netrun import NetDefinition; NetDefinition.from_toml('[nodes.A]').build().to_toml(); "
        "print('tomlkit' in sys.modules)"
    )
    assert python(code) == "False\n"


@pytest.mark.parametrize("number", ["0x" + "f" * 4000, "0o" + "7" * 5000, "-0b1" + "_1" * 15000, "0b" + "1" * 15000])
@pytest.mark.parametrize("text", ["nodes.A.options.retries = {}", "nodes.A.meta.x = [{}]", "edges = {}"])
def test_a_number_that_python_does_not_write(number, text):
    """Is refused, as one of so many decimal digits is."""
    with pytest.raises(DslError, match=r"^(error: )?.*a number of too many digits|is no TOML"):
        NetDefinition.from_toml(text.format(number))


def test_many_hexadecimal_digits_in_a_text():
    """Are a text."""
    NetDefinition.from_toml(f"nodes.A.meta.x = '0x{'f' * 4000}'")


FOREIGN = """\
import functools
import os
from allowed_helper import Tool

tool = Tool()
cached = functools.lru_cache(os.getenv)
bound = functools.partial(functools.partial(os.getenv, "X"))
"""


def test_allow_looks_into_what_is_wrapped(tmp_path, monkeypatch):
    """A cached function, a partial, an instance: each is where its code is."""
    (tmp_path / "allowed_home.py").write_text(
        FOREIGN + "\n\n@functools.lru_cache\ndef own():\n    pass\n\n\nown_bound = functools.partial(own)\n"
    )
    (tmp_path / "allowed_helper.py").write_text("class Tool:\n    def __call__(self):\n        pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("tool", "cached", "bound"):
        with pytest.raises(ImportPathError, match="leads to"):
            resolve_path(f"allowed_home.{name}", ["allowed_home"])
        resolve_path(f"allowed_home.{name}", ["allowed_home", "allowed_helper", "os"])
    for name in ("own", "own_bound"):
        resolve_path(f"allowed_home.{name}", ["allowed_home"])


def test_a_module_that_exits_is_told(tmp_path, monkeypatch):
    """It does not end the program that asked for it."""
    (tmp_path / "exiting_canary.py").write_text("import sys\nsys.exit(0)\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportPathError, match="importing `exiting_canary` raised SystemExit"):
        resolve_path("exiting_canary.f")
