"""`eenas profile` called as a user does, on the smallest backbone."""

from eenas.measurement.latency_profile import read_latency_profile
from tests.study.test_profiling import BACKBONE, TIMING


def test_the_verb_takes_a_profile_and_says_what_comes_next(call, tmp_path):
    out = tmp_path / "p.json"
    flags = ("--backbone", BACKBONE, "--classes", "4", "--size", "8", "--device", "cpu", "--space", "small")
    limits = [word for each in TIMING for word in ("--set", each)]
    answer = call("profile", *flags, *limits, "--threads", "1", "--batch", "2", "--out", out, "--trust-code")
    assert answer.status == 0, answer.err
    assert "cutting here" in answer.out
    assert "of the search space are timed" in " ".join(answer.out.split())
    assert f"next: eenas search --backbone {BACKBONE} --space small --latency-profile {out} --trust-code" in answer.err
    spec = read_latency_profile(out).spec
    assert (spec.batch, spec.threads, spec.runtime) == (2, 1, "torch")
    short = call("profile", *flags, *limits, "--seconds", "0", "--out", tmp_path / "q.json", "--trust-code")
    assert "branches that a search needs are not timed; rerun the command" in " ".join(short.err.split())
    assert "next:" not in short.err
