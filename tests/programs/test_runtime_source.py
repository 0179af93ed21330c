"""The text of runtime.py: the sources of eenas as they are, complete, and nothing of eenas imported."""

import ast
import inspect
import sys

import pytest

from eenas.policies.kinds.registry import KINDS
from eenas.policies.scores import SCORES
from eenas.programs import runtime
from eenas.programs.runtime_source import runtime_source


@pytest.fixture(scope="module")
def tree():
    return ast.parse(runtime_source())


def test_it_imports_numpy_and_the_standard_library(tree):
    roots = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            roots.add(node.module.split(".")[0])
    assert roots - sys.stdlib_module_names - {"__future__"} == {"numpy"}
    inside = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)}
    assert not any("eenas" in line for line in inside)
    assert "import onnxruntime" in inside


def test_it_holds_the_very_statements_of_eenas(tree):
    held = {node.name: ast.unparse(node) for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    things = [*KINDS.values(), *SCORES.values(), runtime.ExportedModel, runtime.Prediction, runtime.load]
    for thing in things:
        (own,) = ast.parse(inspect.getsource(thing)).body
        assert held[thing.__name__] == ast.unparse(own)


def test_it_is_the_same_text_every_time():
    assert runtime_source() == runtime_source()
