"""`eenas release`: who holds a lease, and a stuck holder that loses it."""

import json

from typer.testing import CliRunner

from eenas.cli.main import app
from eenas.records.database import Database
from eenas.records.leases import Leases
from eenas.records.tables import LEASES


def eenas(*words: str):
    return CliRunner().invoke(app, words)


def test_held_leases_are_listed_and_one_is_freed(tmp_path):
    storage = f"sqlite:///{tmp_path}/eenas.db"
    database = Database(storage)
    database.insert(LEASES, {"name": "study/s", "holder": "node7:42#abc", "beat": 50})
    found = eenas("release", "--storage", storage)
    assert "study/s: held by process 42 on node7 for about 2 min" in found.output
    (held,) = json.loads(eenas("release", "--storage", storage, "--json").stdout)
    assert held == {"name": "study/s", "worker": "node7:42", "seconds": 150.0}
    wrong = eenas("release", "study/t", "--storage", storage)
    assert wrong.exit_code == 2
    assert "no worker holds the lease 'study/t'; nearest: 'study/s'" in wrong.output
    done = eenas("release", "study/s", "--storage", storage)
    assert done.exit_code == 0
    assert "the lease study/s is free; process 42 on node7 for about 2 min held it" in done.output
    assert Leases(database).held() == []
    assert "no lease is held" in eenas("release", "--storage", storage).output
