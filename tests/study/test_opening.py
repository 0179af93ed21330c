"""Opening a study: what all trials share is made once, in an order that a cut-off leaves whole."""

from dataclasses import replace

import optuna
import pytest
from optuna.trial import TrialState

from eenas.errors import StorageError, StudyError
from eenas.progress import Notice
from eenas.records.claims import Claims
from eenas.records.leases import Leases
from eenas.records.studies import StudyRecords
from eenas.study import opening as module
from eenas.study.opening import open_shared, own_name
from eenas.study.rivals import baselines
from eenas.study.rivals.known_networks import NETWORKS
from tests.smallest_study import QUEUED, SETTINGS, study_context, url

pytestmark = pytest.mark.filterwarnings("ignore:Heartbeat of storage is supposed:UserWarning")
QUICK = (*SETTINGS, "prepare.when=never", "bank.use=false")


@pytest.fixture
def made(tmp_path):
    """Makes a context as each worker does, on one storage; what it says is in `made.heard`."""

    def make(*overrides, **reference):
        return study_context(url(tmp_path), (*QUICK, *overrides), listener=make.heard.append, **reference)

    make.heard = []
    return make


def opened(context, name=None):
    name, identity = own_name(context, name)
    return open_shared(context, name, identity, None)


def said(made):
    return [event.text for event in made.heard if isinstance(event, Notice)]


def test_a_name_is_of_the_identity_and_a_given_one_belongs_to_its_first_search(made):
    first, _ = own_name(made(), None)
    assert own_name(made(), None)[0] == first
    assert own_name(made("search.trials=99"), None)[0] == first, "the number of trials is no part of it"
    assert own_name(made("search.sampler=random"), None)[0] != first
    opened(made(), "mine")
    assert own_name(made(), "mine")[0] == "mine"
    with pytest.raises(StudyError, match=r"'mine' belongs to another search: .*sampler.*another --name"):
        own_name(made("search.sampler=random"), "mine")


def test_a_sampler_of_the_users_is_part_of_the_identity(made):
    own = replace(made(), sampler=optuna.samplers.NSGAIISampler())
    assert own_name(own, None)[1]["sampler"].endswith("NSGAIISampler")
    assert "NSGAIISampler" not in str(own_name(made(), None)[1])
    assert own_name(own, None)[0] != own_name(made(), None)[0]


def test_a_new_study_beside_one_of_the_same_names_says_how_it_differs(made):
    study = opened(made())
    made.heard.clear()
    other, _ = own_name(made("search.sampler=random"), None)
    (text,) = [text for text in said(made) if "is a new study" in text]
    assert text.startswith(f"{other} is a new study; it differs from {study.name}: ")
    assert "sampler" in text


def test_first_trials_are_queued_once_and_not_behind_trials_that_ran(made):
    study = opened(made(), "s").study
    queued = [trial.user_attrs["origin"] for trial in study.trials]
    assert len(queued) == QUEUED
    assert queued == [trial.user_attrs["origin"] for trial in opened(made(), "s").study.trials]
    for _ in queued:
        study.tell(study.ask(), (0.5, 1.0, 1.0))
    assert {trial.state for trial in opened(made(), "s").study.trials} == {TrialState.COMPLETE}


def test_the_record_is_there_before_anything_is_measured_or_queued(made, monkeypatch):
    context, order = made(), []

    def watch(name):
        real = getattr(module, name)

        def seen(*arguments, **options):
            order.append(name)
            there = StudyRecords(context.database).get("s") is not None
            assert there == (name not in ("_prepared", "open_study")), name
            return real(*arguments, **options)

        monkeypatch.setattr(module, name, seen)

    names = ("_prepared", "open_study", "lay_bank", "measure_baselines", "enqueue_first")
    for name in names:
        watch(name)
    opened(context, "s")
    assert tuple(order) == names


def test_what_was_cut_off_while_it_was_opened_is_opened_by_the_next(made, monkeypatch):
    def cut(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "measure_baselines", cut)
        with pytest.raises(KeyboardInterrupt):
            opened(made(), "s")
    assert len(opened(made(), "s").study.trials) == QUEUED


def test_a_study_that_was_deleted_is_known_as_such_and_begins_anew(made):
    first = opened(made(), "s")
    first.check()
    optuna.delete_study(study_name="s", storage=first.context.database.url)
    with pytest.raises(StudyError, match="'s' was deleted while it ran; rerun the command"):
        first.check()
    second = opened(made(), "s")
    assert any("was deleted in Optuna; it starts again" in text for text in said(made))
    second.check()
    assert second.token != first.token
    with pytest.raises(StudyError, match="was deleted while it ran"):
        first.check()


def test_a_study_is_the_same_for_all_who_open_it(made):
    first, second = opened(made(), "s"), opened(made(), "s")
    assert first.token == second.token
    first.check()
    second.check()


def test_warnings_are_kept_with_the_context_and_said(made, monkeypatch):
    monkeypatch.setattr(module, "seen_samples", lambda context: ("the samples were seen", "as a remark"))
    monkeypatch.setattr(module, "guessing_teacher", lambda context: "")
    assert opened(made(), "s").context.warnings == ("the samples were seen",)
    assert {"as a remark", "warning: the samples were seen"} <= set(said(made))


def test_a_worker_with_other_artifacts_is_refused_before_it_makes_anything_again(made, tmp_path, monkeypatch):
    opened(made(), "mine")
    with monkeypatch.context() as patched:
        patched.setattr(module, "prepare_backbone", lambda context: pytest.fail("the backbone was prepared again"))
        with pytest.raises(StorageError, match=r"these are not the artifacts of the study 'mine'"):
            opened(made(artifacts=tmp_path / "other"), "mine")
    opened(made(artifacts=tmp_path / "other"), "another")
    (tmp_path / "eenas.artifacts").rename(tmp_path / "moved")
    opened(made(artifacts=tmp_path / "moved"), "mine")


def test_a_worker_waits_for_the_lease_only_until_another_has_begun_a_trial(made, monkeypatch):
    first, once, waited = opened(made(), "s"), Leases.once, []

    def noted(self, name, work, make, *, is_made=None):
        if name == "study/s":
            waited.append(not is_made())
        return once(self, name, work, make, is_made=is_made)

    monkeypatch.setattr(Leases, "once", noted)
    opened(made(), "s")
    assert first.claims.take("host:1", 5) is not None
    opened(made(), "s")
    optuna.delete_study(study_name="s", storage=first.context.database.url)
    opened(made(), "s")
    assert waited == [True, False, True]


def test_static_networks_are_refreshed_once_after_the_last_trial(made, monkeypatch):
    found = opened(made("baselines.static=1"), "s")
    looked = []
    best = baselines._best_static
    monkeypatch.setattr(baselines, "_best_static", lambda *given: looked.append(1) or best(*given))
    known = StudyRecords(found.context.database).get("s").baselines[NETWORKS]
    for _ in range(2):
        baselines.refresh_static(found.context, "s", found.bank)
    assert looked == [1]
    assert StudyRecords(found.context.database).get("s").baselines[NETWORKS] == known
    monkeypatch.setattr(Claims, "ended", lambda self: 1)
    baselines.refresh_static(found.context, "s", found.bank)
    assert looked == [1, 1]
