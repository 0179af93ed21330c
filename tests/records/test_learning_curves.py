"""Learning curves in a database, and a storage from before there were any."""

from sqlalchemy import event

from eenas.records.database import Database
from eenas.records.learning_curves import LearningCurve, LearningCurves
from eenas.records.tables import LEARNING_CURVES
from eenas.records.trials import TrialRecord, TrialRecords


def curve(number, *values, study="s"):
    return LearningCurve(study=study, number=number, method="joint", values=values)


def test_curves_come_back_as_they_were_saved_and_only_the_unknown_ones():
    curves = LearningCurves(Database("sqlite://"))
    saved = [curve(number, (0.25, 0.1 * number), (1.0, 0.5)) for number in (0, 2, 5)]
    for each in (*saved, curve(1, (0.25, 0.9), study="other")):
        curves.save(each)
    assert curves.list("s") == saved
    assert curves.list("s", known={0, 5}) == saved[1:2]
    curves.save(curve(2, (0.25, 0.7)))
    assert curves.list("s", known={0, 5}) == [curve(2, (0.25, 0.7))]


def test_nothing_is_read_twice():
    database = Database("sqlite://")
    curves = LearningCurves(database)
    for number in range(3):
        curves.save(curve(number, (0.5, 0.1)))
    statements = []
    event.listen(database.engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    assert curves.list("s", known={0, 1, 2}) == []
    assert statements
    assert not any("curve," in statement or ".curve " in statement for statement in statements)


def test_the_end_is_known_of_trials_that_were_trained_to_their_end():
    assert curve(0, (0.5, 0.1), (1.0, 0.2)).end == 0.2
    assert curve(0, (0.5, 0.1)).end is None
    assert curve(0).end is None


def test_a_storage_without_the_table_gets_it_and_keeps_its_trials(tmp_path):
    url = f"sqlite:///{tmp_path}/eenas.db"
    old = Database(url)
    TrialRecords(old).save(TrialRecord(study="s", number=0, state="complete", values=(0.5,)))
    [record] = TrialRecords(old).list("s")
    with old.transaction() as connection:
        LEARNING_CURVES.drop(connection)
    old.close()
    assert TrialRecords(Database(url, create=False)).list("s") == [record]
    new = Database(url)
    assert LearningCurves(new).list("s") == []
    LearningCurves(new).save(curve(0, (1.0, 0.2)))
    assert LearningCurves(new).list("s") == [curve(0, (1.0, 0.2))]
    assert TrialRecords(new).list("s") == [record]
