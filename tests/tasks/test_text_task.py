"""Tasks of texts: tables in files and folders, columns, labels, saved data sets, and what is refused."""

import json
import sys
import types

import numpy as np
import pytest

from eenas import Task
from eenas.errors import TaskError
from eenas.tasks.load import load_task
from eenas.tasks.spec import TaskSpec
from eenas.tasks.text import text_files
from eenas.tasks.text.phrases import TOPICS, phrases_task
from eenas.tasks.text.text_bytes import stacked_texts, text_bytes, unstacked_texts
from eenas.tasks.text.text_task import text_task

ROWS = [(f"text number {number}, of a kind", "odd" if number % 2 else "even") for number in range(40)]


def table(rows=ROWS, heading=("text", "label"), separator=","):
    lines = [separator.join(heading), *(separator.join(f'"{cell}"' for cell in row) for row in rows)]
    return "\n".join(lines) + "\n"


def texts_of(split):
    return split.samples.texts(split.rows)


@pytest.fixture
def load(tmp_path):
    """Write files into a folder, and load the task of one of them."""

    def loaded(files, of="", **options):
        for name, text in files.items():
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text.encode() if isinstance(text, str) else text)
        return load_task(TaskSpec(spec=f"text:{tmp_path / (of or next(iter(files)))}", **options))

    return loaded


def test_a_csv_file_is_a_task_of_texts(load):
    task = load({"some.csv": table()})
    assert (task.name, task.classes, task.inputs.kind) == ("some", ("even", "odd"), "text")
    assert sum(len(split) for split in task.splits) == len(ROWS)
    labels = dict(ROWS)
    for split in task.splits:
        assert [labels[text] for text in texts_of(split)] == [task.classes[label] for label in split.labels]


def test_batches_are_utf8_padded_by_zeros(load):
    task = load({"some.csv": table()})
    batch = task.train.reader(task.inputs)[np.array([2, 0])]
    assert str(batch.dtype) == "torch.uint8"
    assert [each.decode() for each in unstacked_texts(batch.numpy())] == [texts_of(task.train)[row] for row in (2, 0)]


@pytest.mark.parametrize("text", ["", "plain", "Grüße, 你好, مرحبا, 😀🇫🇷", "a\0b", "line\nbreak", "lone \ud800 half"])
def test_any_text_becomes_bytes_and_comes_back(text):
    (back,) = unstacked_texts(stacked_texts([text_bytes(text)]))
    assert back.decode() == text.replace("\0", " ").replace("\ud800", "?")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("some.tsv", table(separator="\t").replace('"', "")),
        ("some.jsonl", "\n".join(json.dumps({"id": 3, "text": text, "label": label}) for text, label in ROWS)),
        ("some.csv", table(heading=("Label", "Sentence"), rows=[row[::-1] for row in ROWS])),
        ("some.csv", table(heading=("category", "said"), rows=[row[::-1] for row in ROWS])),
        ("some.csv", table(separator=";")),
        ("some.csv", "\ufeff" + table().replace("\n", "\r\n")),
    ],
)
def test_the_same_rows_in_other_forms_are_the_same_task(load, name, content):
    assert load({name: content}).digest == load({"same.csv": table()}).digest


def test_quotation_marks_in_a_tsv_file_are_part_of_a_text(load):
    rows = "".join(f'{label}\tWho said " {number} " ?\n' for number, (_, label) in enumerate(ROWS))
    said = texts_of(load({"some.tsv": f"label\ttext\n{rows}"}).train)
    assert all(text.startswith('Who said "') for text in said)


def test_quotation_marks_quote_in_a_tsv_file_that_says_so(load):
    rows = "".join(f'{label}\t"tab\tin {number}"\n' for number, (_, label) in enumerate(ROWS))
    assert all(text.startswith("tab\tin") for text in texts_of(load({"some.tsv": f"label\ttext\n{rows}"}).train))


def test_columns_can_be_named(load):
    content = table(heading=("text", "said", "label", "mood"), rows=[("-", text, "-", mood) for text, mood in ROWS])
    task = load({"some.csv": content}, text_column="said", label_column="mood")
    assert task.digest == load({"same.csv": table()}).digest


def test_numbers_are_classes_in_the_order_of_numbers(load):
    rows = [(f"text {number}", str((2, 10)[number % 2])) for number in range(40)]
    assert load({"some.csv": table(rows)}).classes == ("2", "10")
    lines = [json.dumps({"text": text, "label": int(label)}) for text, label in rows]
    assert load({"some.jsonl": "\n".join(lines)}).classes == ("2", "10")


def test_a_folder_holds_a_file_for_each_source(load):
    files = {f"set/{name}.csv": table([(f"{name} {text}", label) for text, label in ROWS]) for name in ("train", "dev")}
    files["set/test.csv"] = table([(f"test {text}", label) for text, label in ROWS])
    task = load(files, of="set")
    assert task.name == "set"
    sources = {split.name: split.source for split in task.splits}
    assert sources == {"train": "train", "calibration": "validation", "validation": "validation", "test": "test"}
    assert load(files, of="set/train.csv").digest == task.digest


def test_a_saved_data_set_of_hugging_face_is_read_by_pyarrow(load, tmp_path, monkeypatch):
    rows = [{"sentence": text, "label": int(label == "odd")} for text, label in ROWS]

    class Batch:
        nbytes = 1000

        def select(self, names):
            assert names == ["sentence", "label"]
            return self

        def to_pylist(self):
            return rows

    class Stream:
        schema = types.SimpleNamespace(names=["id", "sentence", "label"])

        def __iter__(self):
            return iter([Batch()])

    arrow = types.ModuleType("pyarrow")
    arrow.ipc = types.SimpleNamespace(open_stream=lambda stream: Stream())
    monkeypatch.setitem(sys.modules, "pyarrow", arrow)
    info = {"features": {"label": {"names": ["even", "odd"], "_type": "ClassLabel"}, "sentence": {"_type": "Value"}}}
    files = {"set/train/state.json": json.dumps({"_data_files": [{"filename": "data.arrow"}]})}
    files |= {"set/train/dataset_info.json": json.dumps(info), "set/train/data.arrow": "-"}
    task = load(files, of="set")
    assert task.classes == ("even", "odd")
    assert task.train.samples.digest == load({"same.csv": table()}).train.samples.digest
    monkeypatch.setattr(text_files, "MOST_BYTES", 999)
    with pytest.raises(TaskError, match="set/train: a table of texts may have 999 bytes, also unpacked, got 1,000"):
        load(files, of="set")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(TaskError, match="is read by pyarrow, which is not installed; pip install pyarrow"):
        load(files, of="set")


def test_packed_tables_are_read_in_their_columns_and_within_bounds(load, tmp_path, monkeypatch):
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    texts, labels = zip(*ROWS, strict=True)
    columns = {"text": texts, "picture": [b"-" * 2000] * len(ROWS), "label": labels}
    parquet.write_table(arrow.table(columns), tmp_path / "some.parquet")
    monkeypatch.setattr(text_files, "MOST_BYTES", 10_000)  # the pictures have more and are not read
    assert load({}, of="some.parquet").train.samples.digest == load({"same.csv": table()}).train.samples.digest
    many = arrow.table({"text": ["a" * 500] * 1000, "label": ["a", "b"] * 500})  # small in the file
    parquet.write_table(many, tmp_path / "many.parquet")
    assert (tmp_path / "many.parquet").stat().st_size < 10_000
    with pytest.raises(TaskError, match=r"many\.parquet: a table of texts may have 10,000 bytes, also unpacked, got 5"):
        load({}, of="many.parquet")
    with pytest.raises(TaskError, match=r"task.text_column is 'words', but the columns are 'text', 'picture', 'label'"):
        load({}, of="some.parquet", text_column="words")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(TaskError, match=r"bad\.parquet: pyarrow cannot read it"):
        load({}, of="bad.parquet")


@pytest.mark.parametrize("name", ["some.csv", "some.tsv", "some.jsonl"])
def test_a_table_is_refused_above_a_size(load, monkeypatch, name):
    monkeypatch.setattr(text_files, "MOST_BYTES", 100)
    with pytest.raises(TaskError, match=r"a table of texts may have 100 bytes, also unpacked, got .* give fewer rows"):
        load({name: table(separator="\t" if name.endswith(".tsv") else ",")})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "some.csv",
            table(heading=("a", "b")),
            "has no column named text, sentence, question or the like, got 'a', 'b'",
        ),
        ("some.csv", table(heading=("text", "text")), "the columns must have different names"),
        ("some.csv", "text,label\n", "has no rows"),
        ("some.csv", "", "has no column named"),
        ("some.csv", table() + "one,two,three\n", "row 42 must have 2 columns"),
        ("some.csv", table([*ROWS, ("text", "")]), "row 42 has no label, got ''"),
        ("some.csv", table().encode("utf-16"), "must be UTF-8"),
        ("some.csv", 'text,label\n"open', "is not a table of comma-separated values"),
        ("some.jsonl", '{"text": "a", "label": "b"}\n{"text": ', "line 2 is not JSON"),
        ("some.jsonl", '["a", "b"]', "line 1 must be a JSON object"),
        ("some.jsonl", '{"text": null, "label": "b"}', "row 1 must hold a text, got None"),
        ("some.jsonl", '{"text": "a", "label": 0.5}', "row 1 has the label 0.5; classes are texts or whole numbers"),
        ("some.jsonl", '{"text": "a"}\n{"text": "b", "label": 1}', "row 1 has no label, got None"),
        ("some.xlsx", table(), "must end in .csv, .tsv, .jsonl, .parquet, got '.xlsx'"),
        ("some.csv", table([(text, "one") for text, _ in ROWS]), "a task needs at least two classes"),
    ],
)
def test_bad_files_are_refused_with_the_row(load, name, content, message):
    with pytest.raises(TaskError, match=message) as caught:
        load({name: content})
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (table([(text, "odd") for text, _ in ROWS]), "needs at least two classes, got 1"),
        (
            table().replace("number 3,", 'number "3,'),
            r"not a table .* and double those inside",
        ),
        (
            table() + '"never closed,odd',
            r"not a table of comma-separated values \(unexpected end of data\); quote texts",
        ),
        (table().encode("utf-16"), r"must be UTF-8 \(invalid start byte at byte 0\); convert it"),
        (table().replace("number 3", "numb\xe9r").encode("latin-1"), "must be UTF-8 .*; convert it"),
    ],
)
def test_spoilt_tables_are_refused_in_one_line(load, content, message):
    with pytest.raises(TaskError, match=message) as error:
        load({"some.csv": content})
    assert "\n" not in str(error.value)


def test_nul_emoji_and_several_languages_are_texts(load):
    texts = ["te\0xt", "\U0001f600 \U0001f469\u200d\U0001f467", "日本語 and العربية", "[PAD] [PAD]"] * 10
    split = load({"some.csv": table([(text, "ab"[k % 2]) for k, text in enumerate(texts)])}).train
    assert set(texts_of(split)) == {"te xt", *texts[1:4]}


def test_a_column_that_is_not_there_is_named_with_the_nearest(load):
    with pytest.raises(TaskError, match=r"task.text_column is 'txt', but the columns are 'text', 'label'; nearest"):
        load({"some.csv": table()}, text_column="txt")


def test_a_class_that_train_lacks_is_refused(load):
    files = {"set/train.csv": table(), "set/test.csv": table([*ROWS, ("text", "prime")])}
    with pytest.raises(TaskError, match=r"test.csv: row 42 has the class 'prime', but train has no text of it"):
        load(files, of="set")


def test_empty_texts_get_a_notice(load):
    task = load({"some.csv": table([*ROWS, ("", "odd"), ("  ", "even")])})
    assert any("has 2 empty texts" in text for text in task.notices)


@pytest.mark.parametrize("options", [{"input_size": 32}, {"flip": True}, {"layout": "NCHW"}, {"skip_bad": True}])
def test_options_of_other_samples_are_refused(load, options):
    with pytest.raises(TaskError, match="leave it out"):
        load({"some.csv": table()}, **options)
    with pytest.raises(TaskError, match=r"task.text_column is for text:PATH"):
        load_task(TaskSpec(spec="waves", text_column="text"))


def test_lists_of_texts_are_a_task():
    texts, labels = [text for text, _ in ROWS], [int(label == "odd") for _, label in ROWS]
    task = Task.from_arrays("rows", texts, labels, classes=("even", "odd"))
    assert task.inputs.kind == "text"
    assert task.digest == Task.from_arrays("rows", np.array(texts), labels, classes=("even", "odd")).digest
    with pytest.raises(TaskError, match="train_x has 40 texts but train_y has 2 labels"):
        Task.from_arrays("rows", texts, [0, 1])
    for other in (None, 3.5, b"bytes"):
        for mixed in ([*texts[:7], other, *texts[8:]], np.array([*texts[:7], other, *texts[8:]], dtype=object)):
            with pytest.raises(TaskError, match=f"train_x must be texts alone, got {other} in sample 7; give its text"):
                Task.from_arrays("rows", mixed, labels)


def test_the_phrases_are_the_same_on_every_machine():
    task = phrases_task()
    assert (task.digest, task.classes) == ("005b9a11b09dace7", TOPICS)
    words = {topic: set() for topic in TOPICS}
    for text, label in zip(texts_of(task.train), task.train.labels, strict=True):
        words[task.classes[label]] |= set(text.split())
    assert len(set.intersection(*words.values())) > 20  # no single word tells the class


def test_a_path_without_its_kind_gets_a_hint(tmp_path):
    (tmp_path / "train.tsv").write_text(table(separator="\t"))
    for place in (tmp_path, tmp_path / "train.tsv"):
        with pytest.raises(TaskError, match=f"text:{place} reads texts"):
            load_task(str(place))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            [b"one", b"two"] * 20,
            r"train_x must be texts alone, got b'one' in sample 0; decode them: \[each\.decode\(\)",
        ),
        (np.array([b"one", b"two"] * 20), r"got b'one' in sample 0; decode them"),
        ("hello", "train_x must be a list of texts, got 'hello' alone; put it in a list with others"),
        (b"hello", "train_x must be a list of texts, got b'hello' alone"),
        ({"one", "two"}, "train_x must hold numbers, or be one list of texts, got the type set"),
        (np.array([["one"], ["two"]] * 20), r"or be one list of texts, got <U3 of the shape \[40, 1\]"),
    ],
)
def test_what_is_no_list_of_texts_is_refused_by_name(values, message):
    with pytest.raises(TaskError, match=message) as caught:
        Task.from_arrays("rows", values, np.arange(40) % 2)
    assert "\n" not in str(caught.value)


def test_columns_of_tables_are_texts():
    pandas = pytest.importorskip("pandas")
    texts, labels = [f"text {number}" for number in range(40)], np.arange(40) % 2
    expected = Task.from_arrays("rows", texts, labels).digest
    for kind in (object, "string"):
        column = pandas.Series(texts, dtype=kind)
        assert Task.from_arrays("rows", column, pandas.Series(labels)).digest == expected


def test_numbers_as_text_have_one_order_in_every_process(tmp_path):
    rows = [f"text {number},{('7', '07', '10', '-1')[number % 4]}" for number in range(80)]
    (tmp_path / "a.csv").write_text("\n".join(["text,label", *rows]))
    assert text_task(tmp_path / "a.csv").classes == ("-1", "07", "7", "10")


def test_halves_of_surrogate_pairs_are_replaced_in_class_names(tmp_path):
    rows = [json.dumps({"text": f"text {number}", "label": ("\ud800", "b")[number % 2]}) for number in range(40)]
    (tmp_path / "a.jsonl").write_text("\n".join(rows))
    assert text_task(tmp_path / "a.jsonl").classes == ("?", "b")
