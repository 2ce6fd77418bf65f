"""The code a function depends on is found, and only that."""

from __future__ import annotations

import functools
import sys
import threading

import numpy as np
import pytest

from interlock.pipelines.code_keys import code_key, content_id
from interlock.pipelines.steps import step
from tests.unit.pipelines.conftest import ModuleMaker

HELPERS = """
    SCALE = 3
    def clean(x):
        return inner(x) * SCALE
    def inner(x):
        return x + 1
    def unused(x):
        return x
    class Scaler:
        factor = 2
        def apply(self, x):
            return inner(x)
        @staticmethod
        def fixed(x):
            return x
        @property
        def twice(self):
            return 2 * self.factor
"""


def key(module: ModuleMaker, source: str, helpers: str = HELPERS) -> dict[str, str]:
    module("helpers", helpers)
    return code_key(module("project", source).f).symbols


VIA_MODULE = "import helpers\ndef f(x):\n    return helpers.clean(x)\n"
VIA_NAME = "from helpers import clean\ndef f(x):\n    return clean(x)\n"
VIA_LOCAL_IMPORT = "def f(x):\n    import helpers\n    return helpers.clean(x)\n"
VIA_LOCAL_FROM = "def f(x):\n    from helpers import clean as tidy\n    return tidy(x)\n"
VIA_TABLE = "from helpers import clean\nTABLE = {'clean': clean}\ndef f(x):\n    return TABLE['clean'](x)\n"
VIA_PARTIAL = "import functools, helpers\ng = functools.partial(helpers.clean)\ndef f(x):\n    return g(x)\n"
VIA_DEFAULT = "from helpers import clean\ndef f(x, how=clean):\n    return how(x)\n"
VIA_CACHE = "import functools, helpers\ng = functools.lru_cache(helpers.clean)\ndef f(x):\n    return g(x)\n"
VIA_NESTED = "import helpers\ndef f(x):\n    def g(y):\n        return [helpers.clean(z) for z in y]\n    return g(x)\n"
VIA_CLOSURE = """
import helpers
def outer(how):
    import helpers as local
    def f(x):
        return how(x) + local.clean(x)
    return f
f = outer(helpers.clean)
"""
VIA_WRAPS = """
import functools, helpers
def logged(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)
    return wrapper
f = logged(helpers.clean)
"""
ROUTES = {name: value for name, value in globals().items() if name.startswith("VIA_")}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(("old", "new"), [("x + 1", "x + 2"), ("SCALE = 3", "SCALE = 4"), ("* SCALE", "- SCALE")])
def test_an_edit_of_a_helper_is_seen_by_every_route(module: ModuleMaker, route: str, old: str, new: str) -> None:
    assert key(module, ROUTES[route]) != key(module, ROUTES[route], HELPERS.replace(old, new))


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return x + 1", '"""Add one."""\n        # plainly\n        return (x\n            + 1)'),
        ("def unused(x):\n        return x", "def unused(x):\n        return x * 5"),
        ("SCALE = 3", "\n\n    OTHER = 1\n    SCALE = 3"),
    ],
    ids=["writing", "unused function", "new constant"],
)
def test_an_edit_that_does_not_matter_is_not_seen(module: ModuleMaker, route: str, old: str, new: str) -> None:
    assert key(module, ROUTES[route]) == key(module, ROUTES[route], HELPERS.replace(old, new))


USES_CLASS = "from helpers import Scaler\ndef f(x):\n    return Scaler().apply(x)\n"
USES_INSTANCE = "from helpers import Scaler\nS = Scaler()\ndef f(x):\n    return S.apply(x)\n"
USES_CHILD = "from helpers import Scaler\nclass Child(Scaler):\n    pass\ndef f(x):\n    return Child().apply(x)\n"


@pytest.mark.parametrize("source", [USES_CLASS, USES_INSTANCE, USES_CHILD], ids=["class", "instance", "subclass"])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x + 1", "x + 2"),
        ("factor = 2", "factor = 5"),
        ("return inner(x)\n        @", "return x\n        @"),
        ("def fixed(x):\n            return x", "def fixed(x):\n            return -x"),
        ("2 * self", "3 * self"),
    ],
    ids=["helper of a method", "attribute", "method", "static method", "property"],
)
def test_an_edit_of_a_class_is_seen(module: ModuleMaker, source: str, old: str, new: str) -> None:
    assert old in HELPERS
    assert key(module, source) != key(module, source, HELPERS.replace(old, new))


def test_symbols_have_names_kinds_and_shown_values(module: ModuleMaker) -> None:
    module("helpers", HELPERS)
    found = code_key(module("project", "import helpers\ndef f(x, rate=0.5):\n    return helpers.clean(x)\n").f)
    kinds = {name: symbol.partition(":")[0] for name, symbol in found.symbols.items()}
    assert kinds == {
        "project.f": "function",
        "project.f.rate": "default",
        "helpers.clean": "function",
        "helpers.inner": "function",
        "helpers.SCALE": "constant",
    }
    assert found.shown == {"project.f.rate": "0.5", "helpers.SCALE": "3"}


def test_two_names_swapped_between_imports_are_told_apart(module: ModuleMaker) -> None:
    module("one", "def g(x):\n    return 1\n")
    module("two", "def g(x):\n    return 2\n")
    body = "def f(x):\n    return a.g(x) - b.g(x)\n"
    straight = code_key(module("project", "import one as a, two as b\n" + body).f)
    swapped = code_key(module("project", "import two as a, one as b\n" + body).f)
    assert straight.symbols != swapped.symbols


def test_a_module_used_as_a_value_counts_whole(module: ModuleMaker) -> None:
    source = "import helpers\ndef f(name, x):\n    return getattr(helpers, name)(x)\n"
    edited = HELPERS.replace("def unused(x):\n        return x", "def unused(x):\n        return -x")
    assert key(module, source) != key(module, source, edited)


def test_a_name_that_appears_later_is_seen(module: ModuleMaker) -> None:
    source = "def f(x):\n    return later(x)\n"
    assert key(module, source) != key(module, source + "def later(x):\n    return x\n")
    via = "import helpers\ndef f(x):\n    return helpers.later(x)\n"
    assert key(module, via) != key(module, via, HELPERS + "    later = 1\n")


def test_relative_imports_inside_functions_are_followed(module: ModuleMaker) -> None:
    def found(body: str) -> dict[str, str]:
        module("pack", "", package=True)
        module("pack.deep", f"def g(x):\n    return {body}\n")
        source = "def f(x):\n    from .deep import g\n    from . import nowhere\n    return g(x)\n"
        return code_key(module("pack.main", source).f).symbols

    assert "pack.deep.g" in found("x")
    assert found("x") != found("x + 1")


def test_functions_that_call_each_other_end(module: ModuleMaker) -> None:
    source = "def f(x):\n    return g(x)\ndef g(x):\n    return f(x) + T['f'](x)\nT = {'f': f, 'g': g}\n"
    assert set(key(module, source)) == {"project.f", "project.g", "project.T"}


def test_closures_over_different_values_differ(module: ModuleMaker) -> None:
    made = module("project", "def make(n):\n    def f(x):\n        return x * n\n    return f\n")
    assert code_key(made.make(1)).symbols == code_key(made.make(1)).symbols
    assert code_key(made.make(1)).symbols != code_key(made.make(2)).symbols
    both = module("both", "from project import make\na, b = make(1), make(2)\ndef f(x):\n    return a(x) + b(x)\n")
    assert "project.make.<locals>.f#2" in code_key(both.f).symbols


def test_a_closure_that_is_not_filled_yet_is_no_obstacle() -> None:
    def outer() -> object:
        def f() -> object:
            return later

        found = code_key(f).symbols
        later = 1
        return found if later else None

    assert outer()


def test_libraries_are_those_really_referred_to(module: ModuleMaker) -> None:
    source = """
    import json, math
    import numpy as np
    import pyarrow
    def f(x):
        import sklearn.linear_model
        return np.sum(x) + math.pi + len(json.dumps(1))
    """
    libraries = code_key(module("project", source).f).libraries
    assert set(libraries) == {"numpy", "python", "scikit-learn"}
    assert libraries["numpy"] == np.__version__
    assert libraries["python"] == f"{sys.version_info.major}.{sys.version_info.minor}"


def test_things_without_content_count_by_type(module: ModuleMaker) -> None:
    source = "import threading\nLOCK = threading.Lock()\ndef f(x):\n    with LOCK:\n        return x\n"
    assert key(module, source) == key(module, source)


def test_constants_are_compared_by_value_and_type(module: ModuleMaker) -> None:
    def of(constant: str) -> dict[str, str]:
        return key(module, f"K = {constant}\ndef f(x):\n    return K\n")

    assert len({str(of(text)) for text in ("1", "1.0", "True", "'1'", "[1]", "(1,)", "{1: 2}")}) == 7


def test_a_step_stands_for_its_function(module: ModuleMaker) -> None:
    source = "from interlock.pipelines.steps import step\n@step\ndef g(x):\n    return x\ndef f(x):\n    return g(x)\n"
    assert set(key(module, source)) == {"project.f", "project.g"}


def test_decorator_objects_of_the_project_count_with_their_state_and_code(module: ModuleMaker) -> None:
    source = """
import functools
class Times:
    def __init__(self, function, n):
        functools.update_wrapper(self, function)
        self.function, self.n = function, n
    def __call__(self, x):
        return self.function(x) * self.n
def g(x):
    return x
h = Times(g, 2)
def f(x):
    return h(x)
"""
    base = key(module, source)
    assert base != key(module, source.replace("Times(g, 2)", "Times(g, 3)"))
    assert base != key(module, source.replace(") * self.n", ") + self.n"))
    assert base != key(module, source.replace("def g(x):\n    return x", "def g(x):\n    return -x"))


def test_values_of_a_projects_class_count_with_its_code(module: ModuleMaker) -> None:
    source = (
        "import dataclasses\n@dataclasses.dataclass\nclass P:\n    x: int\n    def f(self):\n        return self.x\n"
    )
    before = content_id(module("project", source).P(1))
    assert before == content_id(module("project", source).P(1))
    assert before != content_id(module("project", source.replace("return self.x", "return -self.x")).P(1))


def test_functions_as_values_count_by_what_they_do() -> None:
    assert content_id(lambda x: x + 1) != content_id(lambda x: x + 2)
    assert content_id(functools.partial(int, base=2)) != content_id(functools.partial(int, base=3))
    assert content_id(step(_double)) == content_id(_double)
    assert content_id(threading) != content_id(functools)


def _double(x: int) -> int:
    return 2 * x
