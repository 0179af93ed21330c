"""The explanation on a page: tables, samples with maps of images and series, and a study without a training."""

import base64
import json
import re

import numpy as np
import pytest
from PIL import Image

from eenas.errors import InputError
from eenas.reporting.facts.explained import explained_facts, trained_network
from eenas.reporting.figures.confusion_figure import confusion_facts, draw_confusion
from eenas.reporting.figures.relevance_drawing import over_image, plain_image, strip
from eenas.reporting.report.report_facts import facts_json
from eenas.reporting.report.report_page import ReportSpec, report_html
from eenas.testing.smallest import smallest_task
from tests.reporting.sources import broken, source, trained


def pixels(url):
    """The RGB image [H, W, 3] of a data URL."""
    from io import BytesIO

    data = base64.b64decode(url.partition(",")[2])
    return np.asarray(Image.open(BytesIO(data)).convert("RGB"))


def test_relevant_places_are_orange_and_large_images_small():
    image = np.full((3, 130, 65), 100, dtype=np.uint8)
    relevance = np.zeros((130, 65), dtype=np.float32)
    relevance[:65] = 1
    found = pixels(over_image(image, relevance))
    assert found.shape[:2] == (44, 22)
    assert found[0, 0].tolist() == [185, 96, 25]  # three quarters vermillion
    assert found[-1, -1].tolist() == [100, 100, 100]
    assert (pixels(plain_image(image)) == 100).all()
    assert pixels(plain_image(image[:1])).shape == (44, 22, 3)
    line = pixels(strip(np.array([0.0, 1.0])))
    assert line.shape == (12, 96, 3)
    assert line[0, 0].tolist() == [255, 255, 255]
    assert line[0, -1].tolist() == [213, 94, 0]


def test_the_page_shows_maps_of_every_exit_with_the_caution():
    page = report_html(source(), ReportSpec(panels=("explain", "confusion")))
    assert 'class="missing"' not in page
    facts = explained_facts("trial 3", trained(), source().task())
    assert facts.exits == ("module 0", "module 2", "final") or len(facts.exits) == 3
    assert len(facts.samples) == 6
    assert page.count("<img") == 6 * 4
    assert len(facts.exit_rows) == 3
    assert facts.exit_rows[-1][1] == "100.0 %"
    assert len(facts.class_rows) == 6
    assert "Agreement with the final exit is not faithfulness" in page
    assert page == report_html(source(), ReportSpec(panels=("explain", "confusion")))


def test_without_a_training_the_page_says_how_to_get_one():
    said = []
    page = report_html(source(network=lambda: None), ReportSpec(panels=("explain",)), said.append)
    assert "no network of this study is fully trained yet; run `eenas train`" in re.sub("<[^>]+>", "", page)
    assert said == []
    assert trained_network((), "trial 3", None, trust_code=False) is None


def test_the_facts_are_json_with_reasons_where_there_are_none():
    table = json.loads(facts_json(source()))
    assert set(table["errors_of_the_final_exit"]["auroc"]) == {"confusion of the exits", "1 − largest probability"}
    assert [each["name"] for each in table["explanation"]["exits"]] == ["0", "2", "final"]
    assert table["drawn"]["network"] == source().item.name
    nothing = json.loads(facts_json(source(network=lambda: None, picked=broken)))
    assert nothing["explanation"] is None
    assert "reason" in nothing["errors_of_the_final_exit"]


def test_data_of_other_classes_are_refused_in_one_line():
    with pytest.raises(InputError, match="the network has 10 classes, the data 4; give data of the classes"):
        explained_facts("trial 3", trained(), smallest_task())


def test_errors_are_detected_better_than_by_chance():
    facts = confusion_facts(source().picked())
    areas = [each.auroc for each in facts.detectors]
    assert areas == sorted(areas, reverse=True)
    assert 0.5 < areas[-1] <= areas[0] < 1
    drawing = draw_confusion(facts)
    assert [trace.name for trace in drawing.data][-1] == "chance"
    assert all(len(trace.x) <= 200 for trace in drawing.data)
