"""Backbones of transformers, from folders: classifiers, encoders, their tokenizers, and what is refused."""

import json
import shutil

import pytest
import torch

from eenas.backbones.carried import carrier_of
from eenas.backbones.chain import Chain
from eenas.backbones.load import BackboneSpec, load_backbone
from eenas.errors import BackboneError, EenasError, WeightsError
from eenas.tasks.load import load_task
from eenas.tasks.text.text_input import text_input
from eenas.tasks.text.trained_tokenizer import trained_tokenizer

transformers = pytest.importorskip("transformers")
SIZES = {"vocab_size": 300, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2}
SMALL = {**SIZES, "intermediate_size": 32, "max_position_embeddings": 40, "pad_token_id": 0}


@pytest.fixture(scope="module")
def tokenizer():
    task = load_task("phrases")
    return trained_tokenizer(task.train.samples.texts(task.train.rows), 300)


@pytest.fixture
def folder(tmp_path, tokenizer):
    """A folder of a small BERT for three classes, with weights."""
    torch.manual_seed(0)
    transformers.BertForSequenceClassification(transformers.BertConfig(**SMALL, num_labels=3)).save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text(tokenizer, encoding="utf-8")
    return tmp_path


def load(folder, classes=3, **options):
    heard = []
    listener = heard.append
    spec = BackboneSpec(f"hf:{folder}", **options)
    return load_backbone(spec, num_classes=classes, inputs=text_input(), listener=listener), [e.text for e in heard]


def ids_of(backbone):
    return backbone.transform(["wake me at noon", "play some jazz in the kitchen and dim the lamp in the hall"])


def test_a_classifier_keeps_its_weights(folder):
    backbone, notices = load(folder)
    assert (backbone.fresh_classifier, backbone.untrained, notices) == (False, False, [])
    assert backbone.transform.max_length == 40
    own = transformers.BertForSequenceClassification.from_pretrained(folder).eval()
    ids = ids_of(backbone)
    with torch.no_grad():
        expected = own(input_ids=ids, attention_mask=(ids != 0).long()).logits
        assert torch.allclose(backbone.module.eval()(ids), expected, atol=1e-6)


def test_padding_does_not_change_the_answer(folder):
    backbone, _ = load(folder)
    alone, together = backbone.transform(["wake me"]), ids_of(backbone)
    module, together = backbone.module.eval(), torch.nn.functional.pad(alone, (0, together.shape[1] - alone.shape[1]))
    assert together.shape[1] > alone.shape[1]
    with torch.no_grad():
        assert torch.allclose(module(together), module(alone), atol=1e-6)


def test_cut_points_are_behind_the_layers(folder):
    backbone, _ = load(folder)
    names = [point.name for point in backbone.cut_points]
    assert names[:3] == ["model.bert.embeddings", "model.bert.encoder.layer.0", "model.bert.encoder.layer.1"]
    assert carrier_of(backbone.module) is backbone.module
    assert all(point.shape.carried == 1 and point.shape.channels == 16 for point in backbone.cut_points[:3])


def test_other_classes_get_a_new_classifier(folder):
    backbone, notices = load(folder, classes=5)
    assert (backbone.fresh_classifier, backbone.untrained) == (True, False)
    assert notices == [f"hf:{folder}: its classifier starts untrained"]
    embedding = load(folder)[0].module.model.bert.embeddings.word_embeddings.weight
    assert torch.equal(backbone.module.model.bert.embeddings.word_embeddings.weight, embedding)


@pytest.mark.parametrize(("pooling", "head"), [("pooling_mode_mean_tokens", "mean"), ("pooling_mode_cls_token", "cls")])
def test_a_sentence_encoder_gets_a_classifier_on_its_pooling(tmp_path, tokenizer, pooling, head):
    transformers.BertModel(transformers.BertConfig(**SMALL)).save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text(tokenizer, encoding="utf-8")
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps({pooling: True}))
    backbone, _ = load(tmp_path)
    assert (backbone.module.head, backbone.fresh_classifier, backbone.untrained) == (head, True, False)
    own = transformers.BertModel.from_pretrained(tmp_path).eval()
    ids = ids_of(backbone)
    with torch.no_grad():
        tokens = own(input_ids=ids, attention_mask=(ids != 0).long()).last_hidden_state
        mask = (ids != 0).float().unsqueeze(-1)
        pooled = (tokens * mask).sum(1) / mask.sum(1) if head == "mean" else tokens[:, 0]
        assert torch.allclose(backbone.module.eval()(ids), backbone.module.linear(pooled), atol=1e-6)


@pytest.mark.parametrize("kind", ["DistilBert", "Roberta", "Electra"])
def test_other_architectures_are_cut_behind_their_layers(tmp_path, tokenizer, kind):
    sizes = (
        SMALL if kind != "DistilBert" else {"vocab_size": 300, "dim": 16, "n_layers": 3, "n_heads": 2, "hidden_dim": 32}
    )
    config = getattr(transformers, f"{kind}Config")(**{**sizes, "max_position_embeddings": 42, "pad_token_id": 0})
    config.save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text(tokenizer, encoding="utf-8")
    backbone, notices = load(tmp_path)
    assert backbone.untrained
    assert notices[0] == f"hf:{tmp_path}: has no weights, so it starts untrained"
    assert sum(".layer." in point.name for point in backbone.cut_points) >= 2
    backbone.module.eval()(torch.ones(2, backbone.transform.max_length, dtype=torch.long))


def test_albert_is_cut_behind_each_run_of_its_shared_layers(tmp_path, tokenizer):
    torch.manual_seed(0)
    config = transformers.AlbertConfig(**{**SMALL, "num_hidden_layers": 4}, embedding_size=8, num_hidden_groups=2)
    config.num_labels = 3
    own = transformers.AlbertForSequenceClassification(config).eval()
    own.save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text(tokenizer, encoding="utf-8")
    backbone, notices = load(tmp_path)
    assert notices == []
    runs = [f"model.albert.encoder.runs.{number}" for number in range(4)]
    assert [point.name for point in backbone.cut_points] == ["model.albert.embeddings", *runs]
    ids = ids_of(backbone)
    chain = Chain.built_from(backbone.module, ids, runs[:2])
    with torch.no_grad():
        expected = own(input_ids=ids, attention_mask=(ids != 0).long()).logits
        assert torch.allclose(backbone.module.eval()(ids), expected, atol=1e-6)
        assert torch.allclose(chain(ids), expected, atol=1e-6)


def test_a_folder_without_a_tokenizer_is_refused(folder):
    (folder / "tokenizer.json").unlink()
    with pytest.raises(BackboneError, match=r"there is no tokenizer; add the tokenizer.json that the network"):
        load(folder)


def test_the_length_can_be_limited(folder):
    assert load(folder, max_length=16)[0].transform.max_length == 16
    with pytest.raises(BackboneError, match=r"takes at most 40 tokens, got backbone.max_length = 64"):
        load(folder, max_length=64)
    with pytest.raises(BackboneError, match=r"cifar_resnet20: backbone.max_length is for texts"):
        load_backbone(BackboneSpec("cifar_resnet20", max_length=8), num_classes=3)


def test_what_is_no_network_is_refused(folder, tmp_path, tokenizer):
    for name in ("./missing/folder", "no such name", "hf:x"):
        with pytest.raises(BackboneError, match="no such folder; give a folder, or NAME or OWNER/NAME of the hub"):
            load(name)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BackboneError, match=r"the folder has no config.json"):
        load(tmp_path / "empty")
    (folder / "config.json").write_text("{")
    with pytest.raises(BackboneError, match="transformers cannot load it"):
        load(folder)


def test_a_tokenizer_of_another_network_is_refused(folder):
    others = trained_tokenizer(["".join(chr(97 + n % 26) * 3 for n in range(k, k + 60)) for k in range(400)], 600)
    (folder / "tokenizer.json").write_text(others, encoding="utf-8")
    with pytest.raises(BackboneError, match=r"the tokenizer has \d+ ids, and the network takes 300"):
        load(folder)
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(BackboneError, match=f"hf:{folder}: a tokenizer is JSON"):
        load(folder)


def test_weights_are_read_from_safetensors_only(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(WeightsError, match=r"pytorch_model.bin is a pickle, which can run code"):
        load(folder)
    (folder / "pytorch_model.bin").unlink()
    assert load(folder)[0].untrained
    with pytest.raises(WeightsError, match=r"has no weights"):
        load(folder, weights="pretrained")


def test_code_in_a_folder_runs_only_if_trusted(folder):
    table = json.loads((folder / "config.json").read_text())
    table |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Config", "AutoModel": "own.Model"}}
    (folder / "config.json").write_text(json.dumps(table))
    (folder / "own.py").write_text("raise SystemExit('it ran')\n")
    with pytest.raises(
        BackboneError, match=r"it is Python code of its authors\); pass trust_code=True \(--trust-code\)"
    ):
        load(folder)


def test_another_kind_of_samples_is_refused(folder):
    with pytest.raises(EenasError, match="takes text, and the task has images"):
        load_backbone(f"hf:{folder}", num_classes=3, inputs=load_task("digits").inputs)
    with pytest.raises(EenasError, match="give text_transformer or hf:NAME_OR_FOLDER"):
        load_backbone("cifar_resnet20", num_classes=3, inputs=text_input())


def test_without_transformers_the_extra_is_named(folder, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(
        BackboneError, match=r"built by transformers, which is not installed; pip install 'eenas\[text\]'"
    ):
        load(folder)
    shutil.rmtree(folder)


def _network(folder, **changes):
    """Write the weights of a network of other sizes into a folder."""
    config = transformers.BertConfig(**{**SMALL, "num_labels": 3, **changes})
    transformers.BertForSequenceClassification(config).save_pretrained(folder / "other")
    shutil.copy(folder / "other" / "model.safetensors", folder / "model.safetensors")


@pytest.mark.parametrize("change", [{"num_hidden_layers": 2}, {"hidden_size": 32}, {"vocab_size": 600}])
def test_weights_of_another_network_are_refused(folder, change):
    _network(folder, **change)
    with pytest.raises(WeightsError, match=r"of another network: \d+ of \d+ tensors are missing .* first bert\.\w+"):
        load(folder)


def test_weights_without_a_classifier_leave_it_untrained(folder):
    torch.manual_seed(1)
    inner = transformers.BertModel(transformers.BertConfig(**SMALL), add_pooling_layer=False)
    inner.save_pretrained(folder / "other")
    shutil.copy(folder / "other" / "model.safetensors", folder / "model.safetensors")
    backbone, notices = load(folder)
    assert (backbone.fresh_classifier, backbone.untrained) == (True, False)
    assert notices == [f"hf:{folder}: its classifier starts untrained"]
    assert torch.equal(
        backbone.module.model.bert.embeddings.word_embeddings.weight, inner.embeddings.word_embeddings.weight
    )


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"model_type": "vit"}, r"its configuration \('vit'\) has no vocab_size, so it takes no texts"),
        ({"model_type": "clip"}, r"its configuration \('clip'\) has no vocab_size"),
        ({"model_type": "bert", **SMALL, "pad_token_id": 9999}, "pad must be an id below 300"),
        ({"model_type": "bert", **SMALL, "max_position_embeddings": -5}, "transformers cannot load it"),
        ([], "transformers cannot load it"),
    ],
)
def test_configurations_of_no_network_for_texts_are_refused(folder, table, message):
    (folder / "config.json").write_text(json.dumps(table))
    with pytest.raises(BackboneError, match=message) as caught:
        load(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("tokens", [3, "x", [{"content": "x"}], [{"content": "[PAD]", "id": "0"}]])
def test_damaged_tokens_are_refused(folder, tokenizer, tokens):
    table = {**json.loads(tokenizer), "added_tokens": tokens}
    (folder / "tokenizer.json").write_text(json.dumps(table))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "pad_token_id": None}))
    with pytest.raises(BackboneError, match="tokenizers cannot read this tokenizer"):
        load(folder)
