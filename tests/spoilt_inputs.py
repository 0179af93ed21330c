"""Every reader of what comes from outside, valid inputs for it, and ways to spoil them."""

import atexit
import json
import os
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from eenas.backbones.cut_points import CutPoint
from eenas.backbones.features import FeatureShape
from eenas.branches.pool_fc import PoolFc
from eenas.designs.space import load_space
from eenas.errors import EenasError
from eenas.measurement.costs.measured_table import TableCost
from eenas.measurement.latency import LatencySpec
from eenas.measurement.latency_profile import LatencyProfile, TimedBranch, branch_key, read_latency_profile
from eenas.measurement.profile import Profile
from eenas.measurement.runtime import Joints
from eenas.policies.controllers.adaee import AdaEE
from eenas.policies.controllers.controlled_exits import ControlledExits
from eenas.policies.controllers.controller import Controller
from eenas.policies.controllers.controller_text import controller_from_text
from eenas.policies.controllers.recording_file import read_recording
from eenas.policies.exit_table_file import load_exit_table
from eenas.programs.model_folder import load_design
from eenas.programs.preprocessing.graph_preprocessing import GraphPreprocessing
from eenas.programs.preprocessing.series_preprocessing import SeriesPreprocessing
from eenas.records.artifacts import ArtifactStore
from eenas.records.database import Database
from eenas.records.learning_curves import LearningCurve, LearningCurves
from eenas.records.measurements import DatabaseCache
from eenas.records.urls import read_url
from eenas.reporting.facts.front_table import front_rows, to_json
from eenas.reporting.facts.notes import study_note
from eenas.reporting.facts.run_facts import report_json, run_summary
from eenas.reporting.report.page import load_page
from eenas.reporting.report.report_page import load_report
from eenas.results.read import open_results
from eenas.runs.run_report import REPORT, RunReport
from eenas.shipped import folder as shipped
from eenas.study.settings.study_spec import load_settings
from eenas.tasks.graphs.graph_files import graphs_task
from eenas.tasks.npz import npz_task
from eenas.tasks.series.series_input import series_input
from eenas.tasks.text.text_task import text_task
from tests.reporting import sources, studies

LONGEST = 2000
"""Characters of a message at most."""
_HOSTILE = (
    *("1e400", "-1", "0", "1e9", "1e-400", "9" * 30, "9" * 5000, "99999999999", "-0.5", "true", "[1, 2, 3]"),
    *('""', "[]", "{}", "[[]]"),
    *('"' + "x" * 20_000 + '"', "[" * 2000 + "]" * 2000, "[" + "0," * 5000 + "0]"),
    *('"\\u0000"', '"\\u001b[31m"', '"../../x"', '"auto"', '"final"'),
)
"""Values that a reader may meet where it expects another, in JSON and in TOML."""
HOSTILE = (
    *(*_HOSTILE, "NaN", "Infinity", "-Infinity", "null", '"\\ud800"', '{"a": {}}'),
    '{"a":' * 500 + "1" + "}" * 500,
)
"""The same with those of JSON alone."""
HOSTILE_TOML = (*_HOSTILE, "nan", "inf", "-inf", "0x" + "f" * 3000, "{a = {}}", "1979-05-27", "07:32:00")
"""The same with those of TOML alone."""


@dataclass(frozen=True)
class Reader:
    """A reader: valid inputs for it, how one is read from a folder that is its own, and how inputs are spoilt."""

    name: str
    valid: Callable[[], list[bytes]]
    read: Callable[[bytes, Path], object]
    kind: str
    """ "json", "toml", "text", "npz" or "cell"."""


def attempt(reader: Reader, data: bytes, folder: Path) -> str:
    """ "read", "refused", or what is wrong with the way in which the input was refused."""
    try:
        reader.read(data, folder)
    except EenasError as error:
        text = str(error)
        if len(text) > LONGEST or len(text.splitlines()) > 1:
            return f"a message of {len(text)} characters in {len(text.splitlines())} lines: {text[:200]!r}"
        return "fits not into memory" if "does not fit into memory" in text else "refused"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return f"{type(error).__name__}: {str(error)[:300]}"
    return "read"


def spoil(reader: Reader, random) -> bytes:
    """An input that is valid, but for some places, or that never was."""
    data = random.choice(reader.valid())
    if random.random() < 0.03:
        return random.randbytes(random.randrange(300))
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        structured = {"json": _spoil_json, "toml": _spoil_toml, "cell": _spoil_cell}.get(reader.kind)
        data = structured(data, random) if structured and random.random() < 0.8 else _spoil_bytes(data, random)
    return data


def _spoil_bytes(data: bytes, random) -> bytes:
    at = random.randrange(len(data) + 1)
    way = random.randrange(5)
    if way == 0:
        return data[:at]
    if way == 1:
        return data[:at] + random.randbytes(random.randrange(1, 9)) + data[at:]
    if way == 2:
        return data[:at] + data[at : at + random.randrange(200)] * random.randrange(2, 40) + data[at:]
    if way == 3:
        return data[:at] + data[at + random.randrange(1, 30) :]
    spoilt = bytearray(data)
    for _ in range(random.randrange(1, 8)):
        if spoilt:
            spoilt[random.randrange(len(spoilt))] = random.choice((0, 1, 127, 128, 255, random.randrange(256)))
    return bytes(spoilt)


def _spoil_json(data: bytes, random) -> bytes:
    """One value of a JSON text replaced, dropped, doubled or renamed; the text is no JSON any more in some cases."""
    try:
        table = json.loads(data)
    except (ValueError, RecursionError):
        return _spoil_bytes(data, random)
    parents = [table]
    for parent in parents:
        inner = parent.values() if isinstance(parent, dict) else parent if isinstance(parent, list) else ()
        parents += [value for value in inner if isinstance(value, dict | list) and value]
    parent = random.choice(parents)
    mark = "\ue000mark\ue000"
    if isinstance(parent, dict) and parent:
        key = random.choice(list(parent))
        if random.random() < 0.15:
            del parent[key]
        elif random.random() < 0.1:
            parent[random.choice(("x", "", "\x1b", "k" * 5000))] = parent.pop(key)
        else:
            parent[key] = mark
    elif isinstance(parent, list) and parent:
        parent[random.randrange(len(parent))] = mark
        if random.random() < 0.2:
            del parent[random.randrange(len(parent)) :]
    return json.dumps(table).replace(json.dumps(mark), random.choice(HOSTILE)).encode()


def _spoil_toml(data: bytes, random) -> bytes:
    lines = data.decode(errors="replace").splitlines()
    places = [index for index, line in enumerate(lines) if "=" in line and not line.lstrip().startswith("#")]
    if not places:
        return _spoil_bytes(data, random)
    at = random.choice(places)
    key, _, value = lines[at].partition("=")
    way = random.randrange(6)
    if way == 0:
        lines[at] = f"{random.choice(('x', 'a.' * 300 + 'b', chr(34) * 2, key * 2))} = {value}"
    elif way == 1:
        lines.insert(at, random.choice(("[x]", "[[x]]", "[search]", "[" + "a." * 200 + "b]", lines[at])))
    else:
        lines[at] = f"{key}= {random.choice(HOSTILE_TOML)}"
    return "\n".join(lines).encode("utf-8", "replace")


def _spoil_cell(data: bytes, random) -> bytes:
    """One cell of the database: its table, column and row, and what it is to hold instead."""
    try:
        cell = json.loads(data)
        if (cell["table"], cell["column"], cell["row"]) not in CELLS:
            return _spoil_bytes(data, random)
    except (ValueError, KeyError, TypeError):
        return _spoil_bytes(data, random)
    with closing(sqlite3.connect(_database())) as connection:
        query = f"SELECT {cell['column']} FROM {cell['table']} LIMIT 1 OFFSET {cell['row']}"
        value = connection.execute(query).fetchone()[0]
    way = random.randrange(6)
    if way == 0:
        cell["hex"] = random.randbytes(random.randrange(20)).hex()
    elif way == 1:
        cell["text"] = random.choice(HOSTILE)
    else:
        cell["text"] = _spoil_json(str(value).encode(), random).decode(errors="replace")
    return json.dumps(cell).encode()


def _read_cell(data: bytes, folder: Path) -> None:
    try:
        cell = json.loads(data)
        new = bytes.fromhex(cell["hex"]) if "hex" in cell else cell.get("text")
        place = cell["table"], cell["column"], int(cell["row"])
        if not all(re.fullmatch("[a-z_]+", word) for word in place[:2]):
            return
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return  # the description of the cell, which is not what is read
    file = folder / "study.db"
    shutil.copy(_database(), file)
    with closing(sqlite3.connect(file)) as connection:
        try:
            where = f"rowid = (SELECT rowid FROM {place[0]} LIMIT 1 OFFSET {place[2]})"
            connection.execute(f"UPDATE {place[0]} SET {place[1]} = ? WHERE {where}", (new,))
            connection.commit()
        except (sqlite3.Error, UnicodeEncodeError, OverflowError):
            return
    url = f"sqlite:///{file}"
    results = open_results(url)
    to_json(results), study_note(results), list(front_rows(results))
    database = Database(url, create=False)
    LearningCurves(database).list(results.name)
    DatabaseCache(database).get("macs/x")
    database.close()


CELLS = (
    *(("eenas_studies", column, 0) for column in ("name", "identity_digest", "created", "body", "baselines")),
    *(("eenas_trials", column, row) for column in ("number", "state", "design_digest", "body") for row in (0, 2)),
    *(("eenas_learning_curves", column, 0) for column in ("method", "curve")),
    *(("eenas_measurements", column, 0) for column in ("key", "value")),
    ("eenas_schema", "version", 0),
)


@cache
def _database() -> Path:
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="eenas-fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    file = folder / "valid.db"
    database, results = Database(f"sqlite:///{file}"), studies.study(3, extra=[studies.failed(3)])
    sources.keep_study(database, results, "/tmp", most=3)
    LearningCurves(database).save(
        LearningCurve(study=results.name, number=0, method="joint", values=((0.5, 0.2), (1, 0.3)))
    )
    DatabaseCache(database).put("macs/x", {"macs": 1})
    database.close()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    return file


@cache
def _cells() -> list[bytes]:
    return [json.dumps({"table": table, "column": column, "row": row}).encode() for table, column, row in CELLS]


@cache
def _shipped_files(kind: str, words: str) -> list[bytes]:
    files = [file.read_bytes() for file in sorted(shipped(kind).glob("*.toml"))]
    return [data for data in files if re.search(words.encode(), data, re.MULTILINE)]


@cache
def _arrays(*, table: bool) -> list[bytes]:
    import io

    generator, found = np.random.default_rng(0), []
    for save in (np.savez, np.savez_compressed):
        stream = io.BytesIO()
        if table:
            made = studies.table(("layer1.0", "final"), (0.4, 1.0), 0, samples=20)
            arrays = {
                "logits": made.logits,
                "labels": made.labels,
                "exits": np.array(made.exits),
                "macs": made.costs["macs"],
            }
            save(stream, **arrays, latency_ms=made.costs["latency"])
        else:
            images = generator.integers(256, size=(40, 8, 8, 3), dtype=np.uint8)
            save(stream, train_x=images, train_y=np.arange(40) % 2, classes=np.array(["a", "b"]))
            found.append(stream.getvalue())
            stream = io.BytesIO()
            save(stream, train_x=generator.normal(size=(40, 2, 9)), train_y=np.arange(40) % 2)
        found.append(stream.getvalue())
    return found


@cache
def _profile() -> list[bytes]:
    shape, time = FeatureShape((8, 4, 4)), sources.taken(1.0)
    branch = PoolFc()
    found = LatencyProfile(
        profile=Profile(
            backbone="net",
            cut_points=(
                CutPoint(name="a", shape=shape, block_end=True),
                CutPoint(name="b", shape=shape, block_end=True),
            ),
            macs=(100, 200),
            total_macs=300,
            parameters=(1, 2),
            total_parameters=3,
            latency_ms=(time, time),
            total_latency=time,
            plain_latency=time,
            decision=time,
            joints=Joints(cut_ms=(0.1, 0.1), call_ms=0.1, entry_ms=0.1),
        ),
        input_shape=(1, 3, 8, 8),
        num_classes=2,
        spec=LatencySpec(),
        conditions_there=("x",),
        branches={branch_key(branch, shape): TimedBranch(macs=5, latency=time)},
        cascade_ms=0.1,
    )
    return [json.dumps(found.to_table()).encode()]


@cache
def _designs() -> list[bytes]:
    made = [studies.design(seed, 3) for seed in range(3)]
    return [each.to_json().encode() for each in (*made, replace(made[0], inputs=series_input(2, 9)))]


@cache
def _series() -> list[bytes]:
    import io

    found = []
    for shape in ((2, 9), (3, 2, 9)):
        stream = io.BytesIO()
        np.save(stream, np.random.default_rng(0).normal(size=shape))
        found.append(stream.getvalue())
    return found


@cache
def _graphs() -> list[bytes]:
    import io

    found, edges, x = [], np.array([[0, 1, 2], [1, 2, 0]]), np.ones((3, 2), dtype=np.float32)
    for save in (np.savez, np.savez_compressed):
        stream = io.BytesIO()
        save(stream, x=x, edge_index=edges)
        found.append(stream.getvalue())
    return found


@cache
def _graph_tasks() -> list[bytes]:
    import io

    pairs = np.arange(80).reshape(40, 2)
    arrays = {"x": np.ones((80, 3)), "edge_index": np.concatenate([pairs.T, pairs.T[::-1]], axis=1)}
    found = []
    for save in (np.savez, np.savez_compressed):
        stream = io.BytesIO()
        save(stream, **arrays, batch=np.repeat(np.arange(40), 2), y=np.arange(40) % 2, classes=np.array(["a", "b"]))
        found.append(stream.getvalue())
    return found


def _rows(form: str) -> Callable[[], list[bytes]]:
    """Tables of 40 texts in two classes, each row of the given form."""
    rows = [form.format(text=f"text {number} of some", label="ab"[number % 2]) for number in range(40)]
    heading = [] if form.startswith("{{") else [form.format(text="text", label="label")]
    return lambda: ["\n".join([*heading, *rows]).encode()]


@cache
def _reports() -> list[bytes]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        sources.run(studies.study(3), folder=Path(folder)).save()
        return [(Path(folder) / REPORT).read_bytes()]


def _read_report(data: bytes, folder: Path) -> None:
    (folder / REPORT).write_bytes(data)
    report = RunReport.read(folder)
    report_json(report), run_summary(report)


def _from_file(name: str, read: Callable[[Path], object]) -> Callable[[bytes, Path], object]:
    def run(data: bytes, folder: Path) -> object:
        (folder / name).write_bytes(data)
        return read(folder / name)

    return run


def _from_text(read: Callable[[str], object]) -> Callable[[bytes, Path], object]:
    return lambda data, folder: read(os.fsdecode(data))


def _texts(*texts: str) -> Callable[[], list[bytes]]:
    return lambda: [text.encode() for text in texts]


@cache
def _store() -> ArtifactStore:
    return ArtifactStore(_database().parent / "artifacts")


@cache
def _references() -> list[bytes]:
    return [_store().write(name, name.encode()).encode() for name in ("a", "table-x.npz")]


def _artifact(text: str) -> object:
    return _store().read(text)


def _assigned(text: str) -> object:
    return load_settings(backbone="resnet50", overrides=[text])


def _cost_table(path: Path) -> object:
    return TableCost(file=path.name).located(path.parent)


def _controller() -> Controller:
    return Controller(AdaEE(window=20, thresholds=(0.5, 0.9)), ControlledExits(temperatures=(1.0, 1.0)))


@cache
def _states() -> list[bytes]:
    controller = _controller()
    for context in ("clean", None):
        for _ in range(30):
            controller.learn(controller.choose(context), [[0.4, 0.9]], context)
    return [json.dumps({**controller.to_table(), "random": [3, [1] * 625, None], "stamp": "0"}).encode()]


def _continued(path: Path) -> object:
    """Read a state and go on with it for a while."""
    controller = _controller()
    controller.load(path)
    for _ in range(30):
        controller.learn(controller.choose("clean"), [[0.4, 0.9]], "clean")
    controller.save(path)
    return controller.statistics


SETS = (
    "training.epochs=2",
    "search.trials=8",
    'task.splits.validation.source="train"',
    "constraints.max_macs=0.5",
    'costs.energy={kind="linear", macs=1e-6, unit="mJ"}',
)
READERS = (
    Reader("study.toml", lambda: _shipped_files("studies", ""), _from_file("a.toml", load_settings), "toml"),
    Reader(
        "space.toml",
        lambda: _shipped_files("search_spaces", ""),
        _from_file("a.toml", load_space),
        "toml",
    ),
    Reader("page.toml", lambda: _shipped_files("dashboards", "^figures"), _from_file("a.toml", load_page), "toml"),
    Reader("report.toml", lambda: _shipped_files("dashboards", "^panels"), _from_file("a.toml", load_report), "toml"),
    Reader("assignment", _texts(*SETS), _from_text(_assigned), "toml"),
    Reader("task.npz", lambda: _arrays(table=False), _from_file("a.npz", npz_task), "npz"),
    Reader("series.npy", _series, _from_file("a.npy", lambda path: SeriesPreprocessing(2, 9).prepare([path])), "npz"),
    Reader("graph.npz", _graphs, _from_file("a.npz", lambda path: GraphPreprocessing(2, 4, 3).prepare([path])), "npz"),
    Reader("graphs.npz", _graph_tasks, _from_file("a.npz", graphs_task), "npz"),
    Reader("texts.csv", _rows('"{text}",{label}'), _from_file("a.csv", text_task), "text"),
    Reader("texts.tsv", _rows("{label}\t{text}"), _from_file("a.tsv", text_task), "text"),
    Reader("texts.jsonl", _rows('{{"text": "{text}", "label": "{label}"}}'), _from_file("a.jsonl", text_task), "text"),
    Reader("exit table", lambda: _arrays(table=True), _from_file("a.npz", load_exit_table), "npz"),
    Reader("latency profile", _profile, _from_file("a.json", read_latency_profile), "json"),
    Reader("cost table", _texts("cut_point,value\na,1\nfinal,2.5\n"), _from_file("a.csv", _cost_table), "text"),
    Reader("design", _designs, _from_file("a.json", load_design), "json"),
    Reader("run report", _reports, _read_report, "json"),
    Reader("database", _cells, _read_cell, "cell"),
    Reader("controller state", _states, _from_file("a.json", _continued), "json"),
    Reader(
        "recorded confidences",
        _texts("conf_branch_1,conf_branch_2,correct_branch_1,correct_branch_2\n0.5,0.9,0,1\nnan,0.7,1.0,1\n"),
        _from_file("a.csv", read_recording),
        "text",
    ),
    Reader(
        "controller",
        _texts("adaee,overhead=0.2,thresholds=[0.5, 0.9]", "drift_guard,controller=fixed,controller.thresholds=0.8"),
        _from_text(controller_from_text),
        "text",
    ),
    Reader("artifact", _references, _from_text(_artifact), "text"),
    Reader(
        "storage URL",
        _texts("sqlite:///a.db", "postgresql://u:p@h:5432/d?sslmode=require"),
        _from_text(read_url),
        "text",
    ),
)
