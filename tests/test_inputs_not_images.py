"""What is known of images stays in the rooms for images: names in the code, and who imports them."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "eenas"
WORDS = {"pixel", "pixels", "picture", "pictures", "uint8", "height", "rgb", "bilinear", "jpeg", "png"}
ROOMS = (
    "tasks/images/",
    "tasks/distortions/",
    "tasks/recognition/",
    *("frozen/experts/", "networks/experts/"),  # for distorted images
    "backbones/transforms/image_transform.py",
    "programs/preprocessing/image_preprocessing.py",
    "deployment/preparation.py",  # what a model card says of them
    "branches/",  # the rest is of maps, or of the figures of a report
    "backbones/features.py",
    "backbones/layouts.py",
    "frozen/cell_search.py",
    "reporting/",
    "testing/smallest.py",
)
BESIDES = {
    ("backbones/load.py", "uint8"),  # the bytes of a tensor
    ("policies/right_answers.py", "uint8"),
    ("programs/remote/edge_client.py", "uint8"),  # bytes are sent as they are
    ("programs/remote/tensors.py", "uint8"),  # a datatype of the protocol
    *((file, "uint8") for file in ("tasks/text/text_bytes.py", "backbones/transforms/text_transform.py")),  # bytes
    ("programs/preprocessing/text_preprocessing.py", "uint8"),
    ("tasks/arrays.py", "pixels"),  # where kinds are chosen among
    ("tasks/arrays.py", "uint8"),
    ("tasks/sample_check.py", "picture"),
    ("tasks/sample_check.py", "pictures"),
    ("tasks/task.py", "pixels"),
    ("tasks/load.py", "picture"),
}
WITHOUT = (
    *("networks", "training", "frozen", "measurement", "policies", "fronts", "records", "results", "runs", "handle"),
    *("study/trials", "study/rivals", "study/settings", "study/run.py", "study/opening.py"),
)
"""Steps and rooms that import nothing of images, and name none."""
FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py") if "_shipped" not in path.parts)


@cache
def tree_of(file: str) -> ast.Module:
    return ast.parse((PACKAGE / file).read_text(encoding="utf-8"))


def names(file: str) -> Iterator[str]:
    """Every name that code defines, reads or imports; docstrings, comments and messages are left out."""
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.arg | ast.keyword):
            yield node.arg or ""
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module).replace(".", "_")
            yield from (alias.name for alias in node.names)


def image_words(file: str) -> set[str]:
    return {part for name in names(file) for part in name.lower().split("_")} & WORDS


def imports(file: str) -> set[str]:
    return {str(node.module) for node in ast.walk(tree_of(file)) if isinstance(node, ast.ImportFrom)}


def test_code_outside_their_rooms_has_no_words_of_images() -> None:
    found = {(file, word) for file in FILES if not file.startswith(ROOMS) for word in image_words(file)}
    assert sorted(found - BESIDES) == []


def test_what_works_on_any_input_imports_nothing_of_images() -> None:
    of_images = ("eenas.tasks.images", "eenas.backbones.transforms.image", "eenas.programs.preprocessing.image")
    files = [
        file for file in FILES if file.startswith(WITHOUT) and not file.startswith((*ROOMS, "runs/run_experts.py"))
    ]
    assert [(file, name) for file in files for name in imports(file) if name.startswith(of_images)] == []
    images = {"image", "images"}
    assert [(file, name) for file in files for name in names(file) if images & set(name.lower().split("_"))] == []


def test_the_rooms_are_there_and_hold_such_words() -> None:
    for room in ROOMS:
        inside = [file for file in FILES if file.startswith(room)]
        assert inside, room
        assert any(image_words(file) for file in inside), room
    assert [pair for pair in sorted(BESIDES) if pair[1] not in image_words(pair[0])] == []
    for room in WITHOUT:
        assert any(file.startswith(room) for file in FILES), room
