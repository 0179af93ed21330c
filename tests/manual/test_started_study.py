"""A study file for a folder: what is found is in it, and it loads, also with every comment switched on."""

import os
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eenas.errors import TaskError
from eenas.manual.found_files import find_files
from eenas.manual.started_study import study_text
from eenas.study.settings.study_spec import load_settings
from eenas.tasks.load import load_task

NET = """
from torch import nn

class Net(nn.Module):
    def __init__(self, num_classes):
        super().__init__()

    def forward(self, x):
        return x

class Part(nn.Module):
    def __init__(self, width):
        super().__init__()

    def forward(self, x):
        return x

def make(num_classes=3):
    return Net(num_classes)

def helper(x):
    return x

raise SystemExit("this file is not to be run")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for place in ("photos/train/cat", "photos/train/dog", "photos/test/cat", "photos/test/dog"):
        (tmp_path / place).mkdir(parents=True)
        for number in range(5):
            Image.new("RGB", (12, 10), (number, 100, 200)).save(tmp_path / place / f"{number}.png")
    return tmp_path


def started(folder: Path, **options: str) -> str:
    text = study_text(find_files(folder), name="study.toml", **options)
    (folder / "study.toml").write_text(text, encoding="utf-8")
    return text


def test_a_folder_of_images(folder: Path) -> None:
    started(folder)
    settings, home = load_settings(folder / "study.toml")
    assert settings.task.spec == "folder:photos"
    assert settings.backbone.weights == "pretrained"
    assert load_task(settings.task, relative_to=home).classes == ("cat", "dog")


def test_the_folder_itself_may_hold_the_classes(folder: Path) -> None:
    started(folder / "photos")
    settings, home = load_settings(folder / "photos" / "study.toml")
    assert load_task(settings.task, relative_to=home).classes == ("cat", "dog")


def test_arrays_texts_networks_and_weights(folder: Path) -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(40) % 2
    np.savez(folder / "images.npz", train_x=generator.integers(0, 255, (40, 8, 8), dtype=np.uint8), train_y=labels)
    np.savez(folder / "waves.npz", train_x=generator.normal(size=(40, 2, 30)), train_y=labels)
    edges = np.stack([np.arange(80), np.arange(80) ^ 1])
    graphs = {"x": np.ones((80, 3), np.float32), "edge_index": edges, "batch": np.arange(80) // 2, "y": labels}
    np.savez(folder / "rings.npz", **graphs)
    (folder / "mails.csv").write_text("text,label\n" + "".join(f"mail {n},{'ab'[n % 2]}\n" for n in range(40)))
    (folder / "numbers.csv").write_text("a,b\n1,2\n")
    (folder / "net.py").write_text(NET)
    (folder / "resnet18-f37072fd.pth").write_bytes(b"")
    (folder / "mine.safetensors").write_bytes(b"")
    found = find_files(folder)
    assert {each.spec: each.kind for each in found.tasks} == {
        "folder:photos": "images",
        "npz:images.npz": "images",
        "npz:waves.npz": "series",
        "graphs:rings.npz": "graphs",
        "text:mails.csv": "text",
    }
    assert found.backbones == ("./net.py:Net", "./net.py:make")
    assert found.weights == (("mine.safetensors", ""), ("resnet18-f37072fd.pth", "resnet18"))
    assert [each.partition(":")[0].rpartition("/")[2] for each in found.refused] == ["numbers.csv"]
    text = started(folder)
    settings, _ = load_settings(folder / "study.toml")
    assert (settings.backbone.name, settings.backbone.weights) == ("./net.py:Net", "mine.safetensors")
    assert '# weights = "resnet18-f37072fd.pth"' in text
    assert '# spec = "text:mails.csv"  # 40 texts in 2 classes' in text


def test_tables_of_validation_and_test_belong_to_the_task_of_train(tmp_path: Path) -> None:
    table = "text,label\n" + "".join(f"mail {n},{'ab'[n % 2]}\n" for n in range(40))
    for name in ("dev.csv", "test.csv", "train.csv", "test.tsv"):
        (tmp_path / name).write_text(table if name.endswith("csv") else table.replace(",", "\t"))
    found = find_files(tmp_path)
    assert [(each.spec, each.words) for each in found.tasks] == [
        ("text:test.tsv", "40 texts in 2 classes"),
        ("text:train.csv", "120 texts in 2 classes"),
    ]
    (tmp_path / "test.tsv").unlink()
    started(tmp_path)
    assert load_settings(tmp_path / "study.toml")[0].task.spec == "text:train.csv"


def test_names_of_files_stay_in_their_places(tmp_path: Path) -> None:
    table = "text,label\n" + "".join(f"mail {n},{'ab'[n % 2]}\n" for n in range(40))
    for name in ("a.csv", 'b"q.csv', "c\nspec = 9 #.csv", "d\x7f\x1b.csv", os.fsdecode(b"e\xff.csv")):
        (tmp_path / name).write_text(table)
    for name in ("a.pt", "b\nx = 1 #.pt", 'c".pt'):
        (tmp_path / name).write_bytes(b"")
    found = find_files(tmp_path)
    assert found.refused == (r"e\xff.csv: its name is not UTF-8; rename it",)
    text = study_text(found, name="my\nfolder/it's.toml")
    assert tomllib.loads(text)["task"] == {"spec": "text:a.csv"}
    assert tomllib.loads(text)["backbone"] == {"name": "text_transformer", "weights": "none"}
    unused = [tomllib.loads(line[2:])["weights"] for line in text.splitlines() if line.startswith("# weights = ")]
    assert unused == ["a.pt", "b\nx = 1 #.pt", 'c".pt'], "weights that are called after no backbone belong to none"
    assert r"""eenas search --study 'my\nfolder/it'"'"'s.toml'""" in text
    specs = [line[2:] for line in text.splitlines() if line.startswith("# spec = ")]
    assert [tomllib.loads(each)["spec"].removeprefix("text:") for each in specs] == [
        'b"q.csv',
        "c\nspec = 9 #.csv",
        "d\x7f\x1b.csv",
    ]


def test_weights_called_after_a_backbone_choose_it(folder: Path) -> None:
    (folder / "resnet18-f37072fd.pth").write_bytes(b"")
    started(folder)
    settings, _ = load_settings(folder / "study.toml")
    assert (settings.backbone.name, settings.backbone.weights) == ("resnet18", "resnet18-f37072fd.pth")


@pytest.mark.parametrize("kind", ["images", "series"])
def test_every_comment_of_a_key_is_a_key_that_loads(tmp_path: Path, kind: str) -> None:
    x = np.random.default_rng(0).normal(size=(40, 1, 30)) if kind == "series" else np.zeros((40, 8, 8), np.uint8)
    np.savez(tmp_path / "arrays.npz", train_x=x, train_y=np.arange(40) % 2)
    text = started(tmp_path)
    set_, switched = re.subn(r"^# (\w+ = )", r"\1", text, flags=re.MULTILINE)
    (tmp_path / "all.toml").write_text(set_, encoding="utf-8")
    settings, _ = load_settings(tmp_path / "all.toml")
    assert switched >= 10
    assert settings.constraints.get("max_latency_ms") == 5.0
    assert settings.search.timeout == 3600.0


@pytest.mark.parametrize(
    ("name", "spec", "lacks"),
    [
        ("reviews.csv", "text:reviews.csv", "set task.label_column"),
        ("waves.npz", "npz:waves.npz", "the array 'train_x' is missing"),
        ("graphs.npz", "graphs:graphs.npz", "the array 'y' is missing"),
    ],
)
def test_data_that_cannot_be_read_yet_are_the_task_and_no_others(
    tmp_path: Path, name: str, spec: str, lacks: str
) -> None:
    (tmp_path / "net.py").write_text(NET)
    if name.endswith(".csv"):
        rows = "".join(f"{n},mail {n},{'ab'[n % 2]}\n" for n in range(40))
        (tmp_path / name).write_text(f"id,review,stars\n{rows}")
    elif name == "waves.npz":
        np.savez(tmp_path / name, series=np.zeros((40, 1, 30)), stars=np.arange(40) % 2)
    else:
        np.savez(tmp_path / name, x=np.ones((4, 1)), edge_index=np.zeros((2, 1), int), batch=np.zeros(4, int))
    text = started(tmp_path)
    settings, home = load_settings(tmp_path / "study.toml")
    assert settings.task.spec == spec
    assert "# not read: " in text
    assert lacks in " ".join(text.replace("\n# ", " ").split())
    with pytest.raises(TaskError, match=lacks):
        load_task(settings.task, relative_to=home)
    if name.endswith(".csv"):
        whole = text.replace('# label_column = "label"', 'label_column = "stars"')
        (tmp_path / "study.toml").write_text(whole)
        assert load_task(load_settings(tmp_path / "study.toml")[0].task, relative_to=home).classes == ("a", "b")


def test_weights_of_no_known_network_are_offered_with_what_they_need(tmp_path: Path) -> None:
    (tmp_path / "mine.pt").write_bytes(b"")
    assert '# weights = "mine.pt"  # set name to the network that has them' in started(tmp_path)


def test_an_empty_folder_gives_a_study_of_the_digits_and_a_missing_one_an_error(tmp_path: Path) -> None:
    assert 'spec = "digits"' in started(tmp_path)
    with pytest.raises(TaskError, match="cannot be read"):
        find_files(tmp_path / "none")


def test_images_without_class_folders_are_named_instead_of_the_digits(tmp_path):
    (tmp_path / "1.png").write_bytes(b"")
    found = find_files(tmp_path)
    assert found.refused == ("images without class folders; make one folder of images for each class",)
    assert [each.spec for each in found.unread] == ["folder:."]
    (tmp_path / "net.py").write_text(
        "from torch import nn\n\n\ndef make(num_classes):\n    return nn.Linear(2, num_classes)\n"
    )
    assert find_files(tmp_path).unread == ()  # a picture beside code is not data
