"""Experts that a study asks for: trained with its network, reported, read back, and exported."""

import json

import numpy as np
import pytest
import torch

from eenas.deployment.export import export
from eenas.errors import ExportError, PolicyError, SpecError, TaskError
from eenas.programs.experts.expert_folder import load_experts
from eenas.programs.model_folder import EXPERTS, load
from eenas.programs.runtime import load as open_model
from eenas.runs.run_experts import check_experts
from eenas.runs.run_report import REPORT, WEIGHTS, RunReport
from eenas.study.settings.identity import study_identity
from eenas.study.settings.study_spec import StudySpec, load_settings
from eenas.tasks.distortions.distorted_splits import pristine_split
from eenas.testing.smallest import smallest_task
from tests.smallest_study import SETTINGS, SmallestStudy, backbone, run_search, study_context, url

pytestmark = pytest.mark.slow

DISTORTIONS = (
    'task.distortions.kinds=["contrast", "gaussian_noise"]',
    "task.distortions.severities=[3, 5]",
    "task.distortions.share=0.5",
)
EXPERT = ("experts.training.samples=640", "experts.training.batch_size=32")


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    folder = tmp_path_factory.mktemp("experts")
    return SmallestStudy(folder, run_search(folder, trials=2, overrides=(*SETTINGS, *DISTORTIONS, *EXPERT)))


@pytest.fixture(scope="module")
def report(studied, tmp_path_factory):
    return studied.train(tmp_path_factory.mktemp("run") / "run")


def test_the_report_tells_the_worth_of_experts_for_the_distortions_of_the_task(report):
    found = report.experts.figures
    assert found.names == ("pristine", "contrast", "gaussian_noise")
    assert [each.context for each in found.contexts] == [
        "clean",
        *("contrast:3", "contrast:5", "gaussian_noise:3", "gaussian_noise:5"),
    ]
    assert found.samples == 3 * report.test_samples
    assert found.contexts[0].plain_accuracy == report.reported.accuracy, "the same thresholds without experts"
    assert found.contexts[0].plain_macs == report.reported.expected["macs"]
    flat = found.worth[1]
    assert flat.accuracy > flat.plain_accuracy + 0.1
    assert flat.chosen[1] > 0.5
    macs = np.array([exit_.costs["macs"] for exit_ in report.exits])
    np.testing.assert_allclose(found.macs, macs + found.classifier_macs)
    assert report.experts.share == report.design.policy.target_macs


def test_it_is_read_back(report):
    assert RunReport.read(report.folder, trust_code=True) == report
    table = json.loads((report.folder / REPORT).read_text())
    assert [each["expert"] for each in table["experts"]["figures"]["worth"]] == list(report.experts.figures.names)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("figures", "names"), ["pristine", "contrast", "fog"]),
        (("figures", "macs"), [1.0]),
        (("figures", "contexts"), 3),
        (("figures", "contexts"), []),
        (("figures", "contexts", 1, "context"), "contrast:x"),
        (("figures", "contexts", 0, "context"), "fog:1"),
        (("figures", "contexts", 0, "chosen"), [1.0]),
        (("figures", "backbone_macs"), 0),
        (("facts", "classifier"), {}),
        (("facts", "temperatures"), [[1.0]]),
        (("spec",), {"kinds": ["no such kind"]}),
        (("spec",), {"kinds": ["contrast", "fog"]}),
        (("share",), "much"),
    ],
)
def test_a_damaged_report_is_one_line(report, tmp_path, place, value):
    table = json.loads((report.folder / REPORT).read_text())
    inner = table["experts"]
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    (tmp_path / REPORT).write_text(json.dumps(table))
    with pytest.raises(ExportError, match="not a report of eenas") as caught:
        RunReport.read(tmp_path, trust_code=True)
    assert "\n" not in str(caught.value)


def test_an_interrupted_training_goes_on_with_the_next_expert(studied, report, tmp_path, monkeypatch):
    import eenas.frozen.experts.expert_building as building

    trained, real = [], building.train_expert

    def train_expert(network, number, *given, **options):
        if number == 2 and len(trained) == 1:
            raise KeyboardInterrupt
        trained.append(number)
        return real(network, number, *given, **options)

    monkeypatch.setattr(building, "train_expert", train_expert)
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        studied.train(out)
    assert len(list(out.glob("expert-*.part"))) == 1
    trained.append(0)  # so that the second expert is trained now
    assert studied.train(out).experts == report.experts
    assert trained == [1, 0, 2]
    assert (out / EXPERTS).read_bytes() == (report.folder / EXPERTS).read_bytes()
    assert not list(out.glob("*.part"))


def test_a_report_from_before_batch_normalisation_per_kind_had_it_shared(report, tmp_path):
    table = json.loads((report.folder / REPORT).read_text())
    del table["experts"]["spec"]["batch_norm"]
    (tmp_path / REPORT).write_text(json.dumps(table))
    assert RunReport.read(tmp_path, trust_code=True).experts.spec.batch_norm == "shared"


def test_a_finished_run_is_returned_and_other_experts_are_made_of_its_weights(studied, report, tmp_path):
    out = tmp_path / "run"
    first = studied.train(out, overrides=['experts.kinds=["contrast"]'])
    assert first.experts.figures.names == ("pristine", "contrast")
    weights, experts = ((out / name).read_bytes() for name in (WEIGHTS, EXPERTS))
    heard = []
    again = studied.train(out, overrides=['experts.kinds=["contrast"]'], listener=heard.append)
    assert again == first
    assert "is already finished" in heard[-1].text
    other = studied.train(out)
    assert other.experts.figures == report.experts.figures, "the same seed"
    assert (out / WEIGHTS).read_bytes() == weights
    assert (out / EXPERTS).read_bytes() != experts


def test_an_export_has_the_experts_in_torch_and_in_the_runtime(studied, report, tmp_path):
    given = {"run": report.folder, "backbone": backbone(), "data": smallest_task(), "storage": studied.storage}
    network = load_experts(export(tmp_path / "torch", **given), backbone=backbone())
    model = open_model(export(tmp_path / "onnx", format="onnx", **given))
    assert network.policy == report.experts.policy
    task = smallest_task()
    images = task.test.reader(task.inputs)[np.arange(60)].numpy()
    theirs, ours = network.predict(torch.from_numpy(images)), model.predict(images)
    assert ours.classes.tolist() == theirs.classes.tolist()
    assert ours.experts.tolist() == theirs.experts.tolist()
    clean = report.experts.figures.contexts[0]
    assert np.mean(ours.classes == task.test.labels) == pytest.approx(clean.accuracy)
    assert np.bincount(ours.experts, minlength=3) / 60 == pytest.approx(clean.chosen)
    plain = load(export(tmp_path / "plain", experts=False, **given), backbone=backbone())
    assert plain.policy == report.reported.policy


def test_an_export_that_experts_do_not_have(studied, report, tmp_path):
    given = {"run": report.folder, "backbone": backbone(), "data": smallest_task(), "storage": studied.storage}
    for options in ({"format": "pt2"}, {"format": "onnx", "single_file": True}):
        with pytest.raises(ExportError, match="--no-experts"):
            export(tmp_path / "out", **options, **given)
    assert not (tmp_path / "out").exists()


def test_missing_weights_of_experts_say_how_to_restore_them(studied, report, tmp_path):
    for each in report.folder.iterdir():
        if each.name != EXPERTS:
            (tmp_path / each.name).write_bytes(each.read_bytes())
    with pytest.raises(ExportError, match="rerun `eenas train` to restore the experts"):
        export(tmp_path / "out", run=tmp_path, backbone=backbone(), storage=studied.storage)


def test_a_study_without_experts_has_none_and_the_same_identity(tmp_path):
    plain, asking = (study_context(url(tmp_path), (*SETTINGS, *DISTORTIONS, *more)) for more in ((), EXPERT))
    assert "experts" not in plain.settings.to_table()
    assert StudySpec.from_table(asking.settings.to_table()) == asking.settings
    of = [study_identity(each.settings, each.task, each.identity_backbone, "cpu") for each in (plain, asking)]
    assert of[0] == of[1]


def test_experts_learn_from_images_that_are_not_distorted_yet(tmp_path):
    task = study_context(url(tmp_path), (*SETTINGS, *DISTORTIONS)).task
    pristine = pristine_split(task.train)
    assert set(task.train.contexts) > {"clean"}
    assert pristine.contexts is None
    assert (pristine.labels == task.train.labels).all()
    clean = np.flatnonzero(task.train.contexts == "clean")
    both = (each.reader(task.inputs)[clean].numpy() for each in (pristine, task.train))
    np.testing.assert_array_equal(*both)
    assert pristine_split(pristine) is pristine


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (
            ("experts.share=0.5",),
            "name some in .task.distortions. or as experts.kinds",
        ),
        (('experts.kinds=["fogg"]',), "experts: .*fogg.*fog"),
        (('experts.kinds=["fog"]', "experts.severities=[6]"), "experts: .*severit"),
        (('experts.kinds=["fog"]', "experts.training.samples=0"), "samples of the training of experts"),
        (('experts.kinds=["fog"]', "experts.share=2"), "experts: .*share"),
        (("experts.kind=1",), "nearest: 'kinds'"),
    ],
)
def test_settings_that_no_experts_can_have(overrides, words):
    with pytest.raises((SpecError, TaskError), match=words):
        load_settings(backbone="resnet18", overrides=overrides)


def test_experts_that_cannot_be_trained_are_an_error_before_any_training(tmp_path):
    context = study_context(
        url(tmp_path), (*SETTINGS, 'experts.kinds=["contrast"]', "experts.training.batch_size=9999")
    )
    with pytest.raises(TaskError, match="do not fill a batch of 9999"):
        check_experts(context, context.plain_design())
    few = context.task.calibration.subset(np.arange(19))
    object.__setattr__(context.task, "calibration", few)
    object.__setattr__(context.settings.experts.training, "batch_size", 32)
    with pytest.raises(PolicyError, match="at least 20 calibration samples, got 19"):
        check_experts(context, context.plain_design())
