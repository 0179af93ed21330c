"""What a card says of samples, for each kind."""

from eenas.backbones.transforms.graph_transform import GraphTransform
from eenas.backbones.transforms.image_transform import default_transform
from eenas.backbones.transforms.series_transform import SeriesTransform
from eenas.deployment.preparation import ON_A_DEVICE, device_section, preparation_section, usage_section

SERIES = SeriesTransform(2, 64, (1.0, 2.0), (3.0, 4.0))


def test_a_card_of_series_speaks_of_series() -> None:
    text = "\n".join([usage_section(SERIES, predicts=True), device_section(SERIES), *preparation_section(SERIES)])
    assert "network.transform(series)  # floats [N, channels, length] -> float32" in text
    assert 'series = model.preprocess("series.npy")' in text
    assert "model.predict(series)" in text
    assert "Subtract the mean [1.0, 2.0] and divide by the standard deviation [3.0, 4.0]" in text
    assert not {"picture", "image", "images", "uint8"} & set(text.split())


def test_a_card_of_images_speaks_of_pictures() -> None:
    transform = default_transform(32, 3)
    text = "\n".join(
        [usage_section(transform, predicts=False), device_section(transform), *preparation_section(transform)]
    )
    assert "network.transform(images)  # uint8 [N, C, H, W] -> float32" in text
    assert "How a picture is prepared" in text
    assert "network.predict" not in text
    assert device_section(transform).startswith(ON_A_DEVICE)


def test_a_card_of_graphs_speaks_of_graphs() -> None:
    transform = GraphTransform(features=4, slots=3, nodes=10)
    text = "\n".join(
        [usage_section(transform, predicts=True), device_section(transform), *preparation_section(transform)]
    )
    assert (
        "network.transform(graphs)  # padded, as `preprocess` of runtime.py makes them: [N, M, 11] -> float32" in text
    )
    assert 'graphs = model.preprocess("graph.npz")' in text
    assert "`x`, floats [nodes, 4]" in text
    assert "at most 3 edges per node on average" in text
    assert not {"samples", "picture", "images", "any"} & set(text.split())
