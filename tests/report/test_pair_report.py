"""The page of one pair: it says what the network says, shows its maps, and holds all it needs."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from cli_case import FEW_PIXELS, tiny_model
from html_pages import Page
from PIL import Image

from amfzoo import ConfigError, ImageError, TableError, create_predictor
from amfzoo.explain import explain
from amfzoo.guards import InputWarning
from amfzoo.report import write_pair_report


def read(path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def test_the_page_of_a_pair(network, folder):
    images = folder / "c0.jpg", folder / "d0.jpg"
    case = write_pair_report(network, folder / "out.html", *images, label="tiny <1>", remark="A <drawing>")
    answer = network.predict(*images)
    assert case.prediction == answer and answer.warnings  # noise is no lesion
    page = read(folder / "out.html")
    top, p = answer.top()
    assert page.rows("Probabilities of diagnosis")[0][0].endswith(
        f"({top})"
    ) and f"{100 * p:.0f} %" in page.source.replace("\xa0", " ")
    assert f"Score {answer.seven_point_score}:" in page.one("body").text
    assert "not a medical device" in page.one("p", "notice").text and "A <drawing>" in page.one("body").text
    assert "tiny <1>" in page.find("dl")[0].text
    assert [path.name for path in folder.glob("*.partial")] == [] and not page.find("script")


def test_maps_are_those_of_explain(network, folder):
    images = folder / "c0.jpg", folder / "d0.jpg"
    write_pair_report(network, folder / "out.html", *images)
    page, seen = read(folder / "out.html"), explain(network, *images)
    viewers = page.find("fieldset", "viewer")
    assert [page.find("legend", inside=v)[0].text for v in viewers] == ["Clinical photo", "Dermoscopy image"]
    for viewer, branch in zip(viewers, ("clinical", "dermoscopy")):
        switches, shown = page.find("input", inside=viewer), page.find("img", inside=viewer)
        assert len(switches) == len(shown) > 1 and len({switch.attributes["name"] for switch in switches}) == 1
        assert [one.attributes["id"] for one in switches] == [
            one.attributes["for"] for one in page.find("label", inside=viewer)
        ]
        assert [("checked" in one.attributes) for one in switches] == [True] + [False] * (len(switches) - 1)
        assert shown[0].picture().size == seen.pictures[branch].size
        assert np.array_equal(np.asarray(shown[1].picture()), np.asarray(seen.class_map(branch).layer(160)))
        assert all(one.attributes["alt"] for one in shown)


def test_a_finding_that_is_called_has_a_map_and_one_that_is_not_has_none(folder):
    """Whichever of its classes is the more probable."""
    network = tiny_model(
        tasks={"streaks": ("absent", "present"), "blue_whitish_veil": ("absent", "present")}, **FEW_PIXELS
    )
    images = folder / "c0.jpg", folder / "d0.jpg"
    rows = network.predict(*images).probabilities
    points = {task: {"present": row["present"] + step} for (task, row), step in zip(rows.items(), (-0.01, 0.01))}
    network.config = network.config.replace(operating_points=points)
    write_pair_report(network, folder / "out.html", *images)
    titles = [label.text for label in read(folder / "out.html").find("label")]
    assert any("streaks: present" in title for title in titles) and not any("veil" in title for title in titles)


def test_a_picture_goes_in_without_its_metadata_and_not_larger_than_needed(network, folder):
    exif = Image.Exif()
    exif[0x010E] = "Jane Doe"
    Image.new("RGB", (2000, 1000), (200, 150, 120)).save(folder / "large.jpg", exif=exif, comment=b"Jane Doe")
    write_pair_report(network, folder / "out.html", dermoscopy=folder / "large.jpg")
    page = read(folder / "out.html")
    picture = page.find("img")[0].picture()
    assert picture.size == (720, 360) and not picture.getexif() and "comment" not in picture.info
    assert "The clinical photo was not given." in page.one("body").text and len(page.find("fieldset")) == 1


def test_another_runtime_answers_and_the_network_makes_the_maps(network, folder):
    images = folder / "c0.jpg", folder / "d0.jpg"
    behind = create_predictor(network, "torch")
    case = write_pair_report(behind, folder / "out.html", *images, network=network)
    assert case.prediction.diagnosis == pytest.approx(network.predict(*images).diagnosis, abs=1e-5)
    assert all(len(picture.layers) > 0 for picture in case.pictures)
    with pytest.raises(ConfigError, match="cannot be explained"):
        write_pair_report(behind, folder / "other.html", *images)
    assert not (folder / "other.html").exists()


def test_an_answer_given_before_is_the_one_shown(network, folder):
    images = folder / "c0.jpg", folder / "d0.jpg"
    warning = InputWarning("dark", ("clinical",), "the clinical photo is too dark")
    answer = replace(network.predict(*images, guards=False), warnings=(warning,))
    write_pair_report(network, folder / "out.html", *images, answer=answer)
    assert "The clinical photo is too dark" in read(folder / "out.html").one("div", "warning").text


def test_a_hostile_file_name_is_text(network, folder):
    name = '"><img src=x onerror=alert(1)>.jpg'
    try:
        (folder / name).write_bytes((folder / "c0.jpg").read_bytes())
    except OSError:
        pytest.skip("this file system has no such names")
    write_pair_report(network, folder / "out.html", folder / name, folder / "d0.jpg")
    page = read(folder / "out.html")
    assert name in page.find("fieldset")[0].text and name in page.find("img")[0].attributes["alt"]


@pytest.mark.parametrize(
    ("name", "message"), [("c0.jpg", "ends in .html"), ("none/out.html", "does not exist"), ("a.html", "is a folder")]
)
def test_where_no_page_can_be_written(network, folder, name, message):
    (folder / "a.html").mkdir()
    before = (folder / "c0.jpg").read_bytes()
    with pytest.raises(TableError, match=message):
        write_pair_report(network, folder / name, folder / "c0.jpg", folder / "d0.jpg")
    assert (folder / "c0.jpg").read_bytes() == before


def test_a_bad_picture_leaves_the_earlier_page(network, folder):
    (folder / "out.html").write_text("earlier")
    with pytest.raises(ImageError, match="none.jpg"):
        write_pair_report(network, folder / "out.html", folder / "none.jpg", folder / "d0.jpg")
    assert (folder / "out.html").read_text() == "earlier"


def test_names_and_pages_load_neither_torch_nor_scikit_learn():
    code = """
import sys, amfzoo.report, amfzoo.report.page, amfzoo.html_page
dir(amfzoo.report)
print([name for name in ("torch", "sklearn", "matplotlib", "PIL") if name in sys.modules])
import amfzoo.report.pair, amfzoo.report.table
print([name for name in ("sklearn", "matplotlib") if name in sys.modules])
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split("\n")[:2] == ["[]", "[]"]
