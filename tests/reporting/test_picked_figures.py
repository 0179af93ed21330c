"""Figures that look into one design: their facts against slow, obvious code over samples, and what is drawn."""

import base64
import io
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from eenas.errors import FrontError, StorageError, StudyError
from eenas.policies.scores import score
from eenas.records.artifacts import ArtifactStore
from eenas.reporting.facts.picked import load_picked
from eenas.reporting.figures.agreement_figure import agreement_facts, draw_agreement, prediction_depth
from eenas.reporting.figures.design_figure import BOX, box_rows, design_facts, draw_design
from eenas.reporting.figures.groups_figure import class_facts, difficulty_facts, draw_groups, true_probability
from eenas.reporting.figures.overthinking_figure import draw_overthinking, overthinking_facts
from eenas.reporting.figures.reliability_figure import bins_of, draw_reliability, reliability_facts
from eenas.reporting.figures.thumbnails import pictures, samples_facts
from eenas.reporting.report.explorer import draw_explorer, explorer_facts, leaving_at, page_data
from eenas.tasks.images.png import png
from eenas.tasks.series.series_values import SeriesValues
from eenas.tasks.split import Split
from eenas.tasks.task import Task
from tests.reporting.studies import BACKBONE, CLASSES, CUT_POINT_MACS, failed, picked, study, tables


@pytest.fixture(scope="module")
def results():
    return study(9)


@pytest.fixture(scope="module")
def chosen(results):
    return picked(results)


def test_tables_come_from_the_artifacts_of_the_recommended_trial(results, chosen, tmp_path):
    number, kept = chosen.item.trial, {}
    for split, table in zip(("calibration", "validation"), tables(chosen.item.design, number), strict=True):
        kept[split] = ArtifactStore(tmp_path).write(split, table.save)
    results = replace(results, networks=tuple(replace(each, artifacts=kept) for each in results.networks))
    found = load_picked(results, chosen.item, ArtifactStore(tmp_path, create=False))
    assert found.item is chosen.item
    assert np.array_equal(found.exit_index, chosen.exit_index)
    assert np.bincount(found.exit_index, minlength=len(found.exits)) / len(found.validation) == pytest.approx(
        found.item.point.shares
    )
    whole = (tmp_path / "validation").read_bytes()
    (tmp_path / "validation").write_bytes((tmp_path / "calibration").read_bytes())
    with pytest.raises(StorageError, match="was changed or replaced"):
        load_picked(results, chosen.item, ArtifactStore(tmp_path, create=False))
    (tmp_path / "validation").write_bytes(whole)
    bare = tuple(replace(each, artifacts={split: split for split in kept}) for each in results.networks)
    with pytest.raises(StorageError, match="not an artifact reference"):
        load_picked(replace(results, networks=bare), chosen.item, ArtifactStore(tmp_path))
    (tmp_path / "validation").unlink()
    with pytest.raises(StorageError, match="--artifacts"):
        load_picked(results, chosen.item, ArtifactStore(tmp_path, create=False))
    with pytest.raises(FrontError, match="no trial has finished"):
        load_picked(study(0, extra=[failed(0)]), None, ArtifactStore(tmp_path))


def test_the_design_stands_where_its_branches_do_and_every_sample_leaves(chosen):
    facts = design_facts(chosen, BACKBONE, CUT_POINT_MACS)
    assert [exit_.name for exit_ in facts.exits] == [*(b.cut_point for b in chosen.item.design.branches), "final"]
    assert sum(exit_.leaving for exit_ in facts.exits) == pytest.approx(1)
    for exit_ in facts.exits[:-1]:
        assert exit_.position == CUT_POINT_MACS[exit_.name] / BACKBONE.macs
        assert exit_.branch_macs == pytest.approx(0.01 * BACKBONE.macs, abs=1)
    assert facts.exits[-1].position == 1
    assert facts.exits[-1].branch_macs == pytest.approx(0, abs=1)
    assert [exit_.alone for exit_ in facts.exits] == list(chosen.validation.exit_accuracy())
    drawing = draw_design(facts)
    assert len(drawing.data) == len(facts.exits)
    assert len(drawing.layout.annotations) == len(facts.exits)
    assert sum(trace.x[0] for trace in drawing.data) == pytest.approx(100, abs=0.01)
    with pytest.raises(StudyError, match="no cut point"):
        design_facts(chosen, BACKBONE, {})


def test_boxes_in_a_row_never_overlap():
    generator = np.random.default_rng(0)
    for _ in range(20):
        centres = sorted(generator.uniform(0, 100, size=9))
        rows = box_rows(centres, BOX)
        for first in range(9):
            for second in range(first):
                assert rows[first] != rows[second] or centres[first] - centres[second] >= BOX


def test_groups_are_counted_sample_by_sample(chosen):
    table = chosen.validation
    for facts in (class_facts(chosen, CLASSES), difficulty_facts(chosen)):
        assert sum(group.samples for group in facts.groups) == len(table)
    by_name = {group.name: group for group in class_facts(chosen, CLASSES).groups}
    for number, name in enumerate(CLASSES):
        own = [i for i in range(len(table)) if table.labels[i] == number]
        for k in range(table.num_exits):
            assert by_name[name].leaving[k] == pytest.approx(sum(chosen.exit_index[i] == k for i in own) / len(own))
        assert by_name[name].accuracy == pytest.approx(sum(chosen.answer[i] == table.labels[i] for i in own) / len(own))
        assert by_name[name].cost == pytest.approx(np.mean([chosen.shares[chosen.exit_index[i]] for i in own]))


def test_difficulty_is_the_final_exits_probability_of_the_right_class(chosen):
    table = chosen.validation
    for i in range(0, len(table), 37):
        weights = np.exp(table.logits[i, -1].astype(float) / chosen.temperatures[-1])
        assert true_probability(chosen)[i] == pytest.approx(weights[table.labels[i]] / weights.sum(), rel=1e-6)
    groups = difficulty_facts(chosen).groups
    assert groups[0].cost < groups[-1].cost
    assert groups[0].accuracy > groups[-1].accuracy


def test_of_many_classes_the_ends_are_shown(chosen):
    facts = class_facts(chosen, CLASSES, limit=4)
    every = class_facts(chosen, CLASSES).groups
    assert [group.name for group in facts.groups] == [g.name for g in (*every[:2], *every[-2:])]
    assert "of 10 classes" in facts.subtitles[0]
    drawing = draw_groups(facts)
    assert [sum(values) for values in zip(*(trace.x for trace in drawing.data), strict=True)] == pytest.approx(
        [100] * 4, abs=0.1
    )


def test_bins_hold_every_sample_once(chosen):
    sure, right = score(chosen.validation.logits[:, 0]), chosen.validation.correct()[:, 0]
    bins = bins_of(sure, right)
    found, error = [], 0.0
    for low in range(10):
        own = [i for i in range(len(sure)) if low / 10 < sure[i] <= (low + 1) / 10]
        if own:
            found.append((np.mean(sure[own]), np.mean(right[own]), len(own)))
            error += len(own) / len(sure) * abs(np.mean(sure[own]) - np.mean(right[own]))
    for kept, values in zip((bins.confidence, bins.accuracy, bins.samples), zip(*found, strict=True), strict=True):
        assert kept == pytest.approx(values)
    assert bins.error == pytest.approx(error)
    assert bins_of(np.array([0.0, 1.0]), np.array([False, True])).error == 0


def test_reliability_has_a_pane_for_each_exit(chosen):
    facts = reliability_facts(chosen)
    assert [exit_.temperature for exit_ in facts.exits] == chosen.temperatures.tolist()
    drawing = draw_reliability(facts)
    assert len(drawing.data) == 3 * len(facts.exits)
    assert sum(bool(trace.showlegend) for trace in drawing.data) == 2


def test_the_explorer_has_the_points_of_the_curve(chosen):
    facts = explorer_facts(chosen, BACKBONE)
    table = chosen.validation
    scores = [score(table.logits[:, k], chosen.temperatures[k]) for k in range(table.num_exits - 1)]
    for step in range(0, len(facts.thresholds), 17):
        leaves = []
        for i in range(len(table)):
            early = [k for k in range(table.num_exits - 1) if scores[k][i] >= facts.thresholds[step]]
            leaves.append(early[0] if early else table.num_exits - 1)
        shares = np.bincount(leaves, minlength=table.num_exits) / len(table)
        assert leaving_at(facts, step) == pytest.approx(shares)
        assert facts.spent[step] == pytest.approx(shares @ facts.costs["macs"])
        assert facts.accuracy[step] == pytest.approx(table.correct()[np.arange(len(table)), leaves].mean())
    assert facts.thresholds[0] == 0
    assert facts.thresholds[-1] == np.inf
    assert len(draw_explorer(facts).data[-1].x) == table.num_exits


def test_the_pages_data_are_the_bytes_of_the_facts(chosen):
    facts = explorer_facts(chosen, replace(BACKBONE, costs={"macs": BACKBONE.macs}), samples=100)
    data = json.loads(page_data(facts))
    assert data["samples"] == 100
    assert [cost["word"] for cost in data["costs"]] == ["MACs"], "the backbone's latency is not known"
    assert base64.b64decode(data["codes"]) == facts.codes.tobytes()
    bits = np.unpackbits(np.frombuffer(base64.b64decode(data["correct"]), dtype=np.uint8))[: facts.correct.size]
    assert np.array_equal(bits.astype(bool), facts.correct.ravel())


def test_overthinking_sample_by_sample(chosen):
    facts, correct = overthinking_facts(chosen), chosen.validation.correct()
    wasteful = destructive = ever = cost = 0.0
    for row in correct:
        before = any(row[:-1])
        wasteful += before and row[-1]
        destructive += before and not row[-1]
        ever += any(row)
        cost += chosen.shares[list(row).index(True) if any(row) else len(row) - 1]
    assert facts.wasteful == pytest.approx(wasteful / len(correct))
    assert facts.destructive == pytest.approx(destructive / len(correct))
    assert facts.oracle == pytest.approx((ever / len(correct), cost / len(correct)))
    assert sum(facts.first_kept) + sum(facts.first_spoilt) == pytest.approx(facts.ever[-1])
    assert facts.policy[1] == pytest.approx(chosen.item.macs_share)
    assert len(draw_overthinking(facts).data) == 7


def test_agreement_and_depth_sample_by_sample(chosen):
    facts, answers = agreement_facts(chosen), chosen.validation.answers()
    depth = []
    for row in answers:
        k = len(row) - 1
        while k > 0 and row[k - 1] == row[-1]:
            k -= 1
        depth.append(k)
    assert prediction_depth(answers).tolist() == depth
    for j in range(answers.shape[1]):
        assert facts.settled[j] == pytest.approx(depth.count(j) / len(depth))
        for k in range(answers.shape[1]):
            assert facts.agreement[j, k] == pytest.approx(np.mean([row[j] == row[k] for row in answers]))
    assert facts.unsettled == pytest.approx(
        np.mean([e < d for e, d in zip(chosen.exit_index.tolist(), depth, strict=True)])
    )
    drawing = draw_agreement(facts)
    assert sum(sum(trace.y) for trace in drawing.data[1:]) == pytest.approx(100, abs=0.5)


def test_the_first_and_the_last_samples(chosen):
    facts = samples_facts(chosen, limit=5)
    exits = chosen.exit_index
    assert [exits[sample.position] for sample in facts.first] == [exits.min()] * 5
    assert [exits[sample.position] for sample in facts.last] == [exits.max()] * 5
    scores = score(chosen.validation.logits[:, exits.min()], chosen.temperatures[exits.min()])
    assert facts.first[0].score == max(scores[exits == exits.min()])
    assert [sample.score for sample in facts.last] == sorted(sample.score for sample in facts.last)
    for sample in (*facts.first, *facts.last):
        assert sample.answer == chosen.answer[sample.position]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_reads_back(channels):
    image = np.random.default_rng(0).integers(256, size=(channels, 5, 7), dtype=np.uint8)
    found = np.asarray(Image.open(io.BytesIO(png(image))))
    assert np.array_equal(found.reshape(5, 7, channels), np.moveaxis(image, 0, 2))


def test_pictures_need_the_data_of_the_search(chosen):
    generator = np.random.default_rng(0)
    images, labels = generator.integers(256, size=(400, 8, 8), dtype=np.uint8), np.arange(400) % 10
    with pytest.raises(StudyError, match="not the one"):
        pictures(Task.from_arrays("other", images, labels), chosen, samples_facts(chosen))


def test_series_are_drawn_as_lines(chosen):
    labels = chosen.validation.labels
    values = SeriesValues(np.random.default_rng(0).normal(size=(len(labels), 2, 9)).astype(np.float32))
    split = Split("validation", "train", values, labels, np.arange(len(labels)))
    facts = samples_facts(chosen, limit=3)
    task = SimpleNamespace(validation=split, inputs=values.inputs)
    found = pictures(task, chosen, facts)
    assert found.keys() == {sample.position for sample in (*facts.first, *facts.last)}
    assert {url.partition(",")[0] for url in found.values()} == {"data:image/svg+xml;base64"}
    assert len(set(found.values())) == len(found)


def test_the_drawing_of_a_static_network_ends_where_everybody_leaves():
    results = study(14)
    item = next(item for item in results.front if item.ends_at is not None and item.kind == "trial")
    made = picked(results, item)
    facts = design_facts(made, BACKBONE, CUT_POINT_MACS)
    assert [exit_.name for exit_ in facts.exits] == [item.design.exits[k] for k in range(item.ends_at + 1)]
    assert facts.subtitles[1].endswith("the rest of the backbone is not needed")
    rest = draw_design(facts).data[-1]
    assert rest.text == ("not needed",)
    assert rest.base[0] + rest.x[0] == pytest.approx(100, abs=0.01)
