"""A network of transformers as a model folder: rebuilt without the folder that it came from, and run in onnxruntime."""

import shutil

import pytest
import torch

import eenas
from eenas.backbones.load import load_backbone
from eenas.branches.fc import Fc
from eenas.designs.design import Design, Placed
from eenas.networks.assembly import build_network
from eenas.tasks.load import load_task
from eenas.tasks.text.trained_tokenizer import trained_tokenizer

pytestmark = pytest.mark.slow

transformers = pytest.importorskip("transformers")
SIZES = {"vocab_size": 300, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
SMALL = {**SIZES, "intermediate_size": 32, "max_position_embeddings": 40, "pad_token_id": 0}


@pytest.fixture(scope="module")
def task():
    return load_task("phrases")


@pytest.fixture(scope="module")
def network(task, tmp_path_factory):
    """A network with a branch behind the first layer of a small BERT, whose folder is gone."""
    folder = tmp_path_factory.mktemp("bert")
    torch.manual_seed(0)
    transformers.BertForSequenceClassification(transformers.BertConfig(**SMALL, num_labels=4)).save_pretrained(folder)
    text = trained_tokenizer(task.train.samples.texts(task.train.rows), 300)
    (folder / "tokenizer.json").write_text(text, encoding="utf-8")
    backbone = load_backbone(f"hf:{folder}", num_classes=4, inputs=task.inputs)
    branches = (Placed("model.bert.encoder.layer.0", Fc()),)
    design = Design(backbone=backbone.name, num_classes=4, inputs=task.inputs, branches=branches)
    shutil.rmtree(folder)
    return build_network(design, backbone, classes=task.classes).eval()


def test_an_export_is_loaded_without_the_folder_it_came_from(network, tmp_path):
    out = eenas.export(tmp_path / "out", network=network)
    assert {"config.json", "tokenizer.json", "weights.safetensors"} <= {file.name for file in out.iterdir()}
    again = eenas.load(out)
    texts = ["wake me at noon", "dim the lamp in the hall"]
    with torch.no_grad():
        for one, other in zip(network(network.transform(texts)), again(again.transform(texts)), strict=True):
            assert torch.equal(one, other)
    assert eenas.export(tmp_path / "again", run=out).is_dir()


def test_its_programs_take_texts_of_any_length(network, task, tmp_path):
    out = eenas.export(tmp_path / "out", network=network, format="onnx", data=task)
    model = eenas.runtime.load(out)
    for text in ("lamp", "play some jazz in the kitchen and dim the lamp in the hall"):
        ids = model.preprocess(text)
        with torch.no_grad():
            expected = network(torch.from_numpy(ids))
        for one, other in zip(model.logits(ids), expected, strict=True):
            assert torch.allclose(torch.from_numpy(one), other, atol=1e-5)
