"""The demo as a person uses it, in a headless browser."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'amfzoo[demo]'")
pytestmark = pytest.mark.slow
WAIT = 240_000  # milliseconds at most


@pytest.fixture(params=[1280, 390], ids=["wide", "narrow"])
def page(browser, server, request):
    """The demo, loaded; `outside` collects requests to any other server, `dialogs` what scripts pop up."""
    page = browser.new_page(viewport={"width": request.param, "height": 900})
    page.set_default_timeout(WAIT)
    page.outside, page.dialogs = [], []
    page.on(
        "request", lambda r: None if r.url.startswith((server.url, "data:", "blob:")) else page.outside.append(r.url)
    )
    page.on("dialog", lambda dialog: (page.dialogs.append(dialog.message), dialog.dismiss()))
    page.goto(server.url)
    page.get_by_role("button", name="Predict").wait_for()
    yield page
    assert page.outside == [] and page.dialogs == []
    page.close()


def give(page, box, path):
    page.locator(f"#{box} input[type=file]").set_input_files(str(path))
    page.locator(f"#{box} table, #{box} .file-preview").first.wait_for()


def test_upload_predict_and_look_at_a_map(page, server, tmp_path):
    named = tmp_path / "${alert(1)}{{7*7}}<img src=x onerror=alert(2)>.jpg"
    shutil.copy(server.picture("c0.jpg"), named)
    give(page, "clinical", named)
    give(page, "dermoscopy", server.picture("d0.jpg"))
    page.get_by_role("button", name="Predict").click()
    page.locator("#answer .headline").wait_for()
    label, _ = server.model.predict(server.picture("c0.jpg"), server.picture("d0.jpg")).top()
    assert label in page.locator("#answer .headline").inner_text()
    assert "not a medical device" in page.inner_text("body")
    assert "score" in page.locator("#answer").inner_text().lower()
    assert page.locator("#answer img[src=x]").count() == 0

    maps = page.locator("#answer .viewer").first
    layer = maps.locator(".stack img").nth(1)
    assert not layer.is_visible()
    maps.locator("label").nth(1).click()
    assert layer.is_visible()
    width, window = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width <= window

    # another image: what was said of the one before goes away
    page.locator("#clinical").get_by_role("button", name="Clear").click()
    page.locator("#answer .headline").wait_for(state="detached")


def test_the_example_pair(page):
    page.get_by_role("button", name="Use the example pair").click()
    page.locator("#answer .headline").wait_for()
    assert "dermoscopy.jpg" in page.locator("#answer").inner_text()


def test_what_is_no_image_gets_a_message(page, server, tmp_path):
    path = Path(tmp_path / "<b>notes<b>.txt")
    path.write_text("<img src=x onerror=alert(3)> no image")
    give(page, "clinical", path)
    page.get_by_role("button", name="Predict").click()
    page.get_by_text("the content is text and not an image").first.wait_for()
    assert page.locator("#answer .headline").count() == 0


def test_an_answer_that_is_asked_for_at_once_arrives(page, server):
    for _ in range(4):
        give(page, "clinical", server.picture("c0.jpg"))
        page.get_by_role("button", name="Predict").click()  # what follows the upload may still be on its way
        page.locator("#answer .headline").wait_for(timeout=20_000)
        page.locator("#clinical").get_by_role("button", name="Clear").click()
        page.locator("#answer .headline").wait_for(state="detached")
