"""Code of the user is found by name, and runs only with the user's word."""

import sys

import pytest

from eenas.branches.branch import Branch
from eenas.errors import PluginError
from eenas.plugins import call_problem, class_problem, described, is_reference, method_problem
from eenas.user_code import load_object


@pytest.mark.parametrize("text", ["package.module:name", "module:name", "./file.py:name", "/a b/c.py:name", "f.py:f"])
def test_references(text):
    assert is_reference(text)


@pytest.mark.parametrize("text", ["resnet50", "folder:a/b", "npz:x.npz", "a:", ":a", "a:b-c", "file.py", "C:\\a\\b"])
def test_what_is_no_reference(text):
    assert not is_reference(text)


def test_nothing_runs_without_the_users_word(tmp_path):
    mark = tmp_path / "ran"
    file = tmp_path / "plugin.py"
    file.write_text(f"import pathlib; pathlib.Path({str(mark)!r}).touch()\nname = 1\n")
    with pytest.raises(PluginError, match="--trust-code"):
        load_object(f"{file}:name", trust_code=False)
    assert not mark.exists()
    assert load_object(f"{file}:name", trust_code=True) == 1
    assert mark.exists()


def test_a_file_is_relative_to_what_names_it_or_in_the_working_folder_and_read_once(tmp_path, monkeypatch):
    (tmp_path / "plugin.py").write_text("things = []\n")
    things = load_object("./plugin.py:things", trust_code=True, relative_to=tmp_path)
    assert load_object("plugin.py:things", trust_code=True, relative_to=tmp_path) is things
    with pytest.raises(PluginError, match="no such file"):
        load_object("./plugin.py:things", trust_code=True, relative_to=tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path)
    assert load_object("./plugin.py:things", trust_code=True, relative_to=tmp_path / "elsewhere") is things


def test_a_file_that_is_not_there_is_said_before_trust_is_asked_for(tmp_path):
    with pytest.raises(PluginError, match=r"'./none.py': no such file"):
        load_object("./none.py:make", trust_code=False, relative_to=tmp_path)


def test_an_installed_module_is_found():
    assert load_object("os.path:join", trust_code=True).__name__ == "join"


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("no_such_module_here:x", "importing 'no_such_module_here' failed: ModuleNotFoundError"),
        ("os.path:joyn", "has no name 'joyn'; nearest: 'join'"),
        ("./missing.py:x", "no such file"),
    ],
)
def test_what_cannot_be_loaded_is_one_line(reference, message, tmp_path):
    with pytest.raises(PluginError, match=message) as caught:
        load_object(reference, trust_code=True, relative_to=tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("source", ["raise RuntimeError('boom')", "def broken(:", "import no_such_module_here"])
def test_a_file_that_fails_is_an_error_and_can_be_mended(tmp_path, source):
    file = tmp_path / "plugin.py"
    file.write_text(source)
    with pytest.raises(PluginError, match=r"importing .* failed"):
        load_object(f"{file}:name", trust_code=True)
    assert not any(getattr(module, "__file__", None) == str(file) for module in list(sys.modules.values()))
    file.write_text("name = 'mended by another length'\n")
    assert load_object(f"{file}:name", trust_code=True) == "mended by another length"


def test_a_class_of_another_base_is_told_the_name_to_import(tmp_path):
    (tmp_path / "plugin.py").write_text("class Mine(dict): pass\ndef made(): pass\nthing = Mine(a=Mine)\n")
    found = load_object("./plugin.py:Mine", trust_code=True, relative_to=tmp_path)
    rule = "must be a class derived from"
    assert class_problem(found, Branch) == f"{rule} eenas.branches.Branch, got the class Mine(dict)"
    assert class_problem(found, Branch, public="a.B") == f"{rule} a.B, got the class Mine(dict)"
    made, thing = (
        load_object(f"./plugin.py:{name}", trust_code=True, relative_to=tmp_path) for name in ("made", "thing")
    )
    assert described(made) == "the function made"
    assert described(thing) == "{'a': <class 'plugin.Mine'>}"


def test_parameters_that_do_not_fit_are_named():
    def place(n):
        return n

    class Holder:
        def build(self, shape, classes, extra):
            return extra

        @staticmethod
        def static(shape):
            return shape

    assert call_problem(place, "n") is None
    assert call_problem(place, "n", "profile") == "place must take 2 arguments, place(n, profile), got place(n)"
    assert method_problem(Holder, "build", "a", "b", "c") is None
    assert method_problem(Holder, "static", "a") is None
    assert method_problem(Holder, "static") == "static must take 0 arguments, static(), got static(shape)"
    wrong = method_problem(Holder, "build", "shape", "classes")
    assert wrong == "build must take 2 arguments, build(self, shape, classes), got build(self, shape, classes, extra)"
    assert call_problem(lambda *given, key=1: given, "n", "profile") is None
    assert call_problem(dict, "n", "profile") is None, "it has no signature that can be read"
