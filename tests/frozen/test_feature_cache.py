"""Features on disk: the same training without the backbone, and no fault of the disk that ends it."""

import pytest
import torch

from eenas.backbones.load import Backbone, load_backbone
from eenas.branches.conv_fc import ConvFc
from eenas.branches.pool_fc import PoolFc
from eenas.designs.design import Placed
from eenas.errors import SpecError, StorageError, TimeOverError
from eenas.frozen import feature_cache
from eenas.frozen.candidates import Candidates, CandidateTraining, candidate_logits, train_candidates
from eenas.frozen.feature_cache import FeatureCache, read_size
from eenas.tasks.task import Task
from eenas.testing.smallest import smallest_backbone, smallest_task
from eenas.training.execution import Execution
from eenas.training.spec import TrainingSpec

SPEC = TrainingSpec(epochs=1, batch_size=16, augment=True)


@pytest.fixture(scope="module")
def task() -> Task:
    return smallest_task()


@pytest.fixture(scope="module")
def backbone(task: Task) -> Backbone:
    torch.manual_seed(0)
    return load_backbone(smallest_backbone(task.num_classes), num_classes=task.num_classes, input_size=8)


@pytest.fixture
def heard() -> list[str]:
    return []


@pytest.fixture
def cache(tmp_path, heard) -> FeatureCache:
    return FeatureCache(tmp_path / "features", 10**8, heard.append)


def train(backbone, task, cache, key="ab", stop=()):
    """Weights and logits of two branches; with `stop` the backbone must not run."""
    names = [point.name for point in backbone.cut_points]
    placed = (Placed(names[0], ConvFc(width=4)), Placed(names[1], PoolFc(pool="avg")))
    candidates = Candidates(backbone, placed, seed=1)
    if stop:
        candidates.backbone.forward = None
    rows = len(task.train) // 16 * 16
    train_candidates(
        candidates,
        task.train,
        training=CandidateTraining(spec=SPEC, seed=3, flip=task.flip, execution=Execution()),
        stream=cache.stream(key, rows),
    )
    own = cache.stream(f"{key}cd", len(task.validation))
    logits = candidate_logits(candidates, task.validation, with_final=False, stream=own)
    return torch.cat([p.detach().flatten() for p in candidates.branches.parameters()]), logits


def test_a_second_training_needs_no_backbone_and_ends_alike(backbone, task, cache, heard):
    weights, logits = train(backbone, task, cache)
    again = FeatureCache(cache.folder, cache.limit, heard.append)
    same, same_logits = train(backbone, task, again, stop=True)
    assert torch.equal(weights, same)
    assert (logits == same_logits).all()
    assert heard == []


def test_half_precision_hardly_changes_what_is_learnt(backbone, task, cache):
    _, logits = train(backbone, task, cache)
    names = [point.name for point in backbone.cut_points]
    plain = Candidates(backbone, (Placed(names[0], ConvFc(width=4)), Placed(names[1], PoolFc(pool="avg"))), seed=1)
    train_candidates(
        plain, task.train, training=CandidateTraining(spec=SPEC, seed=3, flip=task.flip, execution=Execution())
    )
    assert abs(candidate_logits(plain, task.validation)[:, :2] - logits).max() < 0.05


def test_a_pass_that_an_error_ends_leaves_no_file_open_and_none_behind(backbone, task, cache):
    names = [point.name for point in backbone.cut_points]
    candidates = Candidates(backbone, (Placed(names[0], ConvFc(width=4)),), seed=1)
    stream = cache.stream("ab", len(task.train) // 16 * 16)
    written = []

    def stop(progress):
        written.extend(stream._parts.values())
        raise TimeOverError("over")

    training = CandidateTraining(spec=SPEC, seed=3, flip=task.flip, execution=Execution())
    with pytest.raises(TimeOverError):
        train_candidates(candidates, task.train, training=training, after_step=stop, stream=stream)
    assert written
    assert all(file.closed for file in written)
    assert list(cache.folder.iterdir()) == []
    assert not cache.off


@pytest.mark.parametrize("fault", ["cut short", "other bytes", "no table"])
def test_a_broken_file_is_computed_again(backbone, task, cache, fault):
    weights, _ = train(backbone, task, cache)
    for file in cache.folder.glob("*.f16"):
        data = file.read_bytes()
        if fault == "no table":
            file.with_suffix(".json").unlink()
        else:
            file.write_bytes(data[: len(data) // 2] if fault == "cut short" else bytes([data[0] ^ 1]) + data[1:])
    fresh = FeatureCache(cache.folder, cache.limit, cache.notify)
    again, _ = train(backbone, task, fresh)
    assert torch.equal(weights, again)
    train(backbone, task, FeatureCache(cache.folder, cache.limit, cache.notify), stop=True)


def test_a_limit_too_small_is_one_line_and_the_training_goes_on(backbone, task, tmp_path, heard, cache):
    weights, _ = train(backbone, task, cache)
    small = FeatureCache(tmp_path / "small", 1000, heard.append)
    again, _ = train(backbone, task, small)
    assert torch.equal(weights, again)
    (line,) = heard
    assert line.startswith("feature cache: turned off (")
    assert "the limit is 1e-06 GB" in line
    assert list((tmp_path / "small").glob("*")) == []


def test_a_full_disk_turns_the_cache_off(backbone, task, cache, heard, monkeypatch):
    weights, _ = train(backbone, task, cache, key="ee")

    def begin(self, stored, real=feature_cache.FeatureStream._begin):
        return {name: FullDisk(file) for name, file in real(self, stored).items()}

    class FullDisk:
        def __init__(self, file):
            self.file, self.name = file, file.name

        def write(self, data):
            raise OSError(28, "No space left on device")

        def close(self):
            self.file.close()

    monkeypatch.setattr(feature_cache.FeatureStream, "_begin", begin)
    again, _ = train(backbone, task, cache, key="ff")
    assert torch.equal(weights, again)
    assert heard == ["feature cache: turned off (No space left on device); features are computed each time instead"]
    assert not list(cache.folder.glob("*.part"))


def test_a_disk_that_is_full_at_the_end_turns_the_cache_off(backbone, task, cache, heard, monkeypatch):
    def full(path, text):
        raise StorageError(f"{path}: could not be written (No space left on device)")

    monkeypatch.setattr(feature_cache, "write_text", full)
    train(backbone, task, cache)
    assert cache.off
    assert ["No space left on device" in text for text in heard] == [True]


def test_the_oldest_streams_make_room(backbone, task, cache):
    train(backbone, task, cache, key="aa")
    used = sum(file.stat().st_size for file in cache.folder.glob("aa-*.f16"))
    cache.limit = int(sum(file.stat().st_size for file in cache.folder.glob("*.f16")) + used / 2)
    train(backbone, task, cache, key="bb")
    assert not cache.off
    assert not list(cache.folder.glob("aa-*"))
    assert list(cache.folder.glob("bb-*.f16"))


@pytest.mark.parametrize(("text", "size"), [("2GB", 2 * 10**9), ("1.5 mb", 1_500_000), ("300", 300)])
def test_sizes(text, size):
    assert read_size(text) == size


@pytest.mark.parametrize("text", ["", "much", "0GB", "-1GB", "2 parsecs"])
def test_sizes_that_are_none(text):
    with pytest.raises(SpecError, match="such as 2GB"):
        read_size(text)
