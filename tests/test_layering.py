"""The structure of the project: which step may import what, and what every file looks like."""

import ast
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "eenas"
STEPS = (
    *("(top)", "tasks", "backbones", "branches", "measurement", "policies", "designs", "networks", "training"),
    *("frozen", "fronts", "records", "programs", "study", "results", "workers", "runs", "deployment", "reporting"),
    *("handle", "testing", "manual", "cli"),
)
ENTERS = {
    "tasks": {"sklearn", "scipy", "PIL", "aeon", "tokenizers", "pyarrow"},
    "backbones": {"timm", "torchvision", "huggingface_hub", "transformers", "torch_geometric"},
    "measurement": {"filelock", "ptflops"},
    "records": {"sqlalchemy", "boto3", "botocore", "google"},
    "programs": {"onnx", "onnxruntime", "onnxscript", "zstandard", "lz4"},
    "study": {"optuna", "scipy"},
    "results": {"optuna"},
    "workers": {"optuna", "ray", "yaml"},
    "handle": {"optuna", "pandas", "tqdm", "aeon"},
    "runs": {"scipy"},
    "deployment": {"starlette", "uvicorn", "prometheus_client", "grpc", "google"},
    "reporting": {"jinja2", "plotly", "optuna_dashboard", "optuna", "tomli_w"},
    "testing": {"pytest"},
    "cli": {"typer", "rich", "optuna"},
}
"""Libraries that are used in their own step only; Optuna's study also in what draws it and what quietens its log."""
FROM_THERE_ON = {"torch": "tasks", "numpy": "tasks", "safetensors": "backbones"}
NUMPY_ONLY = ("policies", "fronts")
LAZILY_AT_THE_TOP = {"torch", "numpy"}
LAZY_MODULES = {"eenas", "eenas.__main__", "eenas.runtime"}
"""They hand the later steps out, `eenas/__init__.py` at first use."""
MOST_FILES = 20
"""So many modules a folder holds at most; more are divided into rooms."""
MOST_PARAMETERS = 7
NO_NAMES = {"utils", "util", "common", "core", "helpers", "helper", "base", "misc"}
TOP_LEVEL = {
    *(".ci", ".github", ".gitignore", "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "Containerfile", "LICENSE"),
    *("README.md", "SECURITY.md", "mkdocs.yml", "pyproject.toml"),
    *("dashboards", "docs", "eenas", "search_spaces", "studies", "tests"),
}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "_shipped" not in path.parts)
FOLDERS = sorted({path.parent.relative_to(PACKAGE) for path in MODULES})


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def step_of(module: str) -> str:
    """The step of a module of eenas by its dotted name."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in STEPS else "(top)"


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(tree: ast.AST, *, inside_functions: bool = False) -> Iterator[tuple[str, bool]]:
    """Every module that is imported, by statement or by `import_module("...")`, and whether inside a function."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, inside_functions) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import; name the defining module"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield (inner if is_module(inner) else str(node.module)), inside_functions
        elif isinstance(node, ast.Call) and called(node).endswith("import_module"):
            yield from ((str(name.value), inside_functions) for name in node.args if isinstance(name, ast.Constant))
        function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from imports(node, inside_functions=inside_functions or function)


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return name.startswith("eenas.") and (path.is_dir() or path.with_suffix(".py").is_file())


def called(node: ast.Call) -> str:
    return ast.unparse(node.func) if isinstance(node.func, ast.Name | ast.Attribute) else ""


def problem(step: str, module: str, lazy: bool) -> str | None:
    """What is wrong with importing `module` in `step`, or None."""
    library = module.split(".", maxsplit=1)[0]
    if library == "eenas":
        target = step_of(module)
        if STEPS.index(target) > STEPS.index(step):
            return f"{module} belongs to the later step {target}"
        if step in NUMPY_ONLY and target not in (*NUMPY_ONLY, "(top)"):
            return f"{module}: {step} uses NumPy alone, so that the runtime can share it"
        return None
    if library in sys.stdlib_module_names:
        return None
    if library in FROM_THERE_ON:
        if step in NUMPY_ONLY and library != "numpy":
            return f"{library}: {step} uses NumPy alone"
        if STEPS.index(step) >= STEPS.index(FROM_THERE_ON[library]):
            return None
        return None if lazy and library in LAZILY_AT_THE_TOP else f"{library} enters in {FROM_THERE_ON[library]}"
    homes = [home for home, libraries in ENTERS.items() if library in libraries]
    if not homes:
        return f"{library} is in no step's list of libraries"
    return None if step in homes else f"{library} belongs to {' and '.join(homes)}"


def test_imports_point_to_earlier_steps_and_libraries_stay_in_theirs() -> None:
    names = {name_of(path): path for path in MODULES}
    found = [
        f"{name}: {text}"
        for name, path in names.items()
        if name not in LAZY_MODULES
        for module, lazy in imports(tree_of(path))
        if (text := problem(step_of(name), module, lazy))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("step", "source", "wrong"),
    [
        ("tasks", "from eenas.backbones.load import load_backbone", "later step backbones"),
        ("tasks", "def f():\n    from eenas import results", "later step results"),
        ("designs", "import importlib\nimportlib.import_module('eenas.cli.main')", "later step cli"),
        ("(top)", "import numpy as np", "enters in tasks"),
        ("(top)", "def f():\n    import numpy", None),
        ("policies", "import torch", "NumPy alone"),
        ("policies", "from eenas.tasks.task import Task", "NumPy alone"),
        ("policies", "import numpy as np\nfrom eenas.errors import PolicyError", None),
        ("training", "import optuna", "belongs to study"),
        ("study", "import sqlalchemy.orm", "belongs to records"),
        ("study", "import optuna\nfrom eenas.records.database import Database", None),
        ("cli", "import polars", "no step's list"),
    ],
)
def test_the_rules_notice_what_they_forbid(step: str, source: str, wrong: str | None) -> None:
    found = [text for module, lazy in imports(ast.parse(source)) if (text := problem(step, module, lazy))]
    assert (wrong is None and not found) or (wrong is not None and any(wrong in text for text in found))


def test_every_directory_is_a_step_and_every_step_a_package() -> None:
    directories = {path.name for path in PACKAGE.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert directories == set(STEPS[1:])
    assert all((PACKAGE / step / "__init__.py").is_file() for step in STEPS[1:])
    tests = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert tests <= {*STEPS[1:], "benchmarks"}


def test_the_table_of_contributing_tells_the_same_order() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `?(\(?\w+\)?)/?`? \|", text.split("## Layout")[1].split("## Style")[0], re.MULTILINE)
    assert tuple(rows[rows.index("(top)") :]) == STEPS


def wrong_beginning(path: Path) -> str:
    """What is wrong with the first lines of a module, or nothing."""
    first = str(ast.get_docstring(tree_of(path))).split("\n\n")[0]
    if not path.read_text(encoding="utf-8").startswith('"""'):
        return "the first line must be a docstring"
    if not first.endswith("."):
        return "the first sentence must end with a full stop"
    two = re.search(r"[a-z0-9)`]\. +[A-Z]", first)
    return "one sentence only; more may follow after an empty line" if two else ""


def test_a_module_begins_with_one_sentence_that_says_what_it_is() -> None:
    assert {name_of(path): wrong for path in MODULES if (wrong := wrong_beginning(path))} == {}


def test_a_module_is_at_most_300_lines_long() -> None:
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {name: length for name, length in lengths.items() if length > 300} == {}


def test_a_folder_is_a_package_of_at_most_so_many_modules() -> None:
    counts = Counter(path.parent for path in MODULES if path.name != "__init__.py")
    assert {folder: count for folder, count in counts.items() if count > MOST_FILES} == {}


@pytest.mark.parametrize("folder", [folder for folder in FOLDERS if folder != Path()], ids=str)
def test_an_init_holds_a_docstring_or_hands_out_public_names(folder: Path) -> None:
    """Each name is said three times: to type checkers, to `lazily` and in `__all__`; none is a module, too."""
    tree = tree_of(PACKAGE / folder / "__init__.py")
    if len(tree.body) == 1:
        return
    package = ".".join(("eenas", *folder.parts))
    kinds = [type(line) for line in tree.body]
    assert kinds == [ast.Expr, ast.ImportFrom, ast.ImportFrom, ast.If, ast.Assign, ast.Assign, ast.Assign]
    typed = {
        alias.name: str(line.module)
        for line in tree.body[3].body
        if isinstance(line, ast.ImportFrom)
        for alias in line.names
    }
    homes = ast.literal_eval(tree.body[4].value)
    assert {name: f"{package}.{home}" for name, home in homes.items()} == typed
    assert sorted(ast.literal_eval(tree.body[5].value)) == sorted(homes)
    modules = {path.stem for path in (PACKAGE / folder).iterdir()}
    assert modules & set(homes) == set(), "a module of this name takes its place once it is imported"


def test_a_class_has_a_name_of_its_own() -> None:
    """Private and inner classes, too: a name that stands for two ideas has to be told apart by its module."""
    classes = [node.name for path in MODULES for node in ast.walk(tree_of(path)) if isinstance(node, ast.ClassDef)]
    assert len(classes) > 300
    assert sorted(name for name, times in Counter(classes).items() if times > 1) == []


def parameters_of(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Each function and method with its number of parameters, `self` and `cls` aside; `**options` are one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = [each.arg for each in (*node.args.posonlyargs, *node.args.args)]
            given = given[1:] if given[:1] in (["self"], ["cls"]) else given
            more = [each for each in (node.args.vararg, node.args.kwarg) if each is not None]
            yield node.name, len(given) + len(node.args.kwonlyargs) + len(more)


def test_functions_take_few_parameters() -> None:
    """More are a value. Flags of commands are parameters, and fields of dataclasses are no functions."""
    names = {name_of(path): path for path in MODULES}
    found = {
        f"{name}.{function}"
        for name, path in names.items()
        if not name.startswith("eenas.cli.")
        for function, count in parameters_of(tree_of(path))
        if count > MOST_PARAMETERS
    }
    assert found == set()


def test_only_the_command_line_prints_and_nothing_configures_logging() -> None:
    prints = {"print", "pprint", "pprint.pprint", "sys.stdout.write", "sys.stderr.write"}
    found = set()
    for path in MODULES:
        calls = {called(node) for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call)}
        wrong = {call for call in calls if call.endswith(("basicConfig", "dictConfig", "fileConfig"))}
        wrong |= calls & prints if step_of(name_of(path)) != "cli" else set()
        found |= {f"{name_of(path)}: {call}" for call in wrong}
    assert found == set()


def test_no_directory_or_module_has_a_name_that_says_nothing() -> None:
    places = [path for path in [*PACKAGE.rglob("*"), *(ROOT / "tests").rglob("*")] if "_shipped" not in path.parts]
    named = [path for path in places if path.is_dir() or path.suffix == ".py"]
    assert [path for path in named if path.stem in NO_NAMES] == []


def test_the_top_of_the_repository_holds_only_what_is_meant_to_be_there() -> None:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    listed = subprocess.run([git, "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {line.split("/")[0] for line in listed.stdout.splitlines()} <= TOP_LEVEL
