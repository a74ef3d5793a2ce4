"""Streams of pairs: nothing but the pair counts, threads, guards, images that change behind the stream."""

from __future__ import annotations

import io
import itertools
import threading

import numpy as np
import pytest
from PIL import Image
from predictor_case import close, picture, pictures, trained

from amfzoo import ImageError, Prediction, PredictionError, predict_stream
from amfzoo.data.synthetic import draw_pair, random_findings
from amfzoo.explain import modality_contribution
from amfzoo.guards.drawings import draw_other


@pytest.fixture(scope="module")
def model():
    return trained()


# --------------------------------------------------- nothing but the pair counts


def mixed_pairs(count: int = 7) -> list[tuple]:
    pairs = list(zip(pictures(count), pictures(count, first=20)))
    pairs[2], pairs[5] = (None, pairs[2][1]), (pairs[5][0], None)
    return pairs


@pytest.mark.parametrize("batch_size, workers", [(1, 1), (2, 3), (3, 1), (7, 2), (100, 4)])
def test_batch_size_and_workers_do_not_matter(model, batch_size, workers):
    pairs = mixed_pairs()
    expected = [model.predict(*images) for images in pairs]
    assert not close(expected[0], expected[1])  # the pairs do differ
    found = list(predict_stream(model, pairs, batch_size=batch_size, workers=workers))
    assert len(found) == len(pairs) and all(map(close, found, expected))
    turned = list(predict_stream(model, pairs[::-1], batch_size=batch_size, workers=workers))
    assert all(map(close, turned, expected[::-1]))


def test_errors_keep_their_position(model):
    pairs = mixed_pairs()
    expected = list(predict_stream(model, pairs))
    pairs[1] = (b"not an image", pairs[1][1])
    pairs[4] = (None, None)
    for batch_size in (1, 2, 7):
        found = list(predict_stream(model, pairs, batch_size=batch_size, errors="return"))
        assert isinstance(found[1], ImageError) and isinstance(found[4], PredictionError)
        assert all(close(found[i], expected[i]) for i in (0, 2, 3, 5, 6)) and len(found) == 7
        with pytest.raises(ImageError):
            list(predict_stream(model, pairs, batch_size=batch_size))


def test_the_only_pair_is_bad(model):
    (error,) = predict_stream(model, [("missing.png", None)], errors="return")
    assert isinstance(error, ImageError) and "missing.png" in str(error)
    assert list(predict_stream(model, [])) == []


# -------------------------------------------------------------------- streams


def test_endless_streams_are_read_a_little_ahead(model):
    read = 0

    def endless():
        nonlocal read
        for image in itertools.cycle(pictures(3)):
            read += 1
            yield image, None

    answers = predict_stream(model, endless(), batch_size=2, workers=2)
    for answered in range(1, 12):
        assert isinstance(next(answers), Prediction)
        assert read <= answered + 3 * 2 + 1  # the batch at hand and two more
    answers.close()


def workers_alive() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("ThreadPoolExecutor")}


@pytest.mark.parametrize("end", ["close", "forget", "error", "broken source"])
def test_no_thread_is_left(model, end):
    def source():
        yield from mixed_pairs()
        if end == "error":
            yield b"not an image", None
        if end == "broken source":
            raise OSError("the disk is gone")
        yield from mixed_pairs()

    before = workers_alive()
    answers = predict_stream(model, source(), batch_size=2, workers=3)
    next(answers)
    assert workers_alive() - before  # there is something to end
    if end == "close":
        answers.close()
    elif end == "forget":
        del answers
    else:
        with pytest.raises(ImageError if end == "error" else OSError):
            list(answers)
    assert workers_alive() - before == set()


# ---------------------------------------------------------------- guards


def test_warnings_are_those_of_the_pair_and_change_no_probability(model):
    text = np.asarray(draw_other("text", 1))
    right = draw_pair(random_findings(1), seed=1, size=(300, 225))
    pairs = [
        (right.clinical, right.dermoscopy),
        (picture(0), picture(0)),
        ("missing.jpg", None),
        (right.dermoscopy, right.clinical),
        (None, text),
    ]
    found = list(predict_stream(model, pairs, batch_size=2, errors="return"))
    codes = [[warning.code for warning in answer.warnings] for answer in found if isinstance(answer, Prediction)]
    assert isinstance(found[2], ImageError)
    assert codes[0] == [] and codes[1][0] == "identical" and codes[2] == ["swapped"] and "no_lesion" in codes[3]
    unguarded = list(predict_stream(model, pairs, batch_size=2, errors="return", guards=False))
    for one, other in zip(found, unguarded):
        if isinstance(one, Prediction):
            assert other.warnings == () and one.probabilities == other.probabilities
    assert model.predict(picture(0), picture(0)).warnings[0].code == "identical"
    assert model.predict([picture(0)], [picture(0)], guards=False)[0].warnings == ()


def test_guards_do_not_read_an_image_again(model):
    file = io.BytesIO()
    Image.fromarray(picture(3)).save(file, "PNG")
    file.seek(0)  # read to its end it cannot be read once more
    assert model.predict(file, picture(4)).probabilities == model.predict(picture(3), picture(4)).probabilities


def test_guards_look_at_no_image_that_the_network_does_not_read():
    alone = trained(clinical=None, fusion="none")
    assert alone.predict("missing.jpg", picture(1)).missing == ()


def test_what_is_refilled_or_closed_behind_the_stream_was_taken_as_it_came(model, tmp_path):
    wanted = [picture(seed) for seed in range(12)]
    expected = model.predict(wanted, None)

    def buffer():
        array = np.empty_like(wanted[0])
        for one in wanted:
            array[:] = one
            yield array, None

    def opened(opening):
        for number, one in enumerate(wanted):
            Image.fromarray(one).save(tmp_path / f"{number}.png")
            with opening(tmp_path / f"{number}.png") as file:
                yield file, None

    for stream in (buffer(), opened(Image.open), opened(lambda path: open(path, "rb"))):
        found = list(predict_stream(model, stream, batch_size=4))
        assert all(close(one, other) for one, other in zip(found, expected, strict=True))
    with pytest.raises(ImageError, match="0.png"):  # the name of a file object stays in messages
        (tmp_path / "0.png").write_bytes(b"no picture")
        list(predict_stream(model, [(open(tmp_path / "0.png", "rb"), None)]))


@pytest.mark.parametrize("errors", ["raise", "return"])
def test_pairs_before_a_failing_one_are_answered(model, errors):
    def failing():
        yield from ((one, None) for one in pictures(7))
        raise OSError("the database went away")

    answers = predict_stream(model, failing(), batch_size=4, errors=errors)
    assert len([next(answers) for _ in range(7)]) == 7
    with pytest.raises(OSError, match="the database went away"):
        next(answers)


@pytest.mark.parametrize("ask", [predict_stream, lambda name, pairs: modality_contribution(name, *pairs[0])])
def test_a_name_is_no_model(ask):
    with pytest.raises(PredictionError, match=r"'amf_small' is no model that answers: .* create_model"):
        ask("amf_small", [pictures(2)])
