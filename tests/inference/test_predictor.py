"""From images to predictions: sources, batches, missing images, errors, threads."""

from __future__ import annotations

import io
import itertools
import math
import threading

import numpy as np
import pytest
import torch
from networks import TASKS, build, perturb, settle
from PIL import Image

from amfzoo import ImageError, Prediction, PredictionError, predict_stream
from amfzoo.data.synthetic import draw_pair, random_findings
from amfzoo.guards.drawings import draw_other

SIZE = {"size": (64, 64)}


def trained(**config):
    """Preprocessing differs between the branches, so that one cannot stand in for the other."""
    preprocess = {"clinical_preprocess": SIZE, "dermoscopy_preprocess": {**SIZE, "std": [0.5] * 3}}
    return settle(perturb(build(**{"tasks": TASKS, **preprocess, **config})))


@pytest.fixture(scope="module")
def model():
    return trained()


def picture(seed: int, height: int = 80, width: int = 100) -> np.ndarray:
    """A uint8 picture; smooth, so that two resized ones still differ."""
    rng = np.random.default_rng(seed)
    return np.asarray(Image.fromarray(rng.integers(0, 256, (5, 5, 3), np.uint8)).resize((width, height), 3))


def pictures(count: int, first: int = 0) -> list[np.ndarray]:
    return [picture(first + i, height=70 + i, width=90) for i in range(count)]


def close(found: Prediction, expected: Prediction) -> bool:
    assert found.probabilities.keys() == expected.probabilities.keys()
    pairs = [(p, expected.probabilities[t][c]) for t, row in found.probabilities.items() for c, p in row.items()]
    return found.missing == expected.missing and all(math.isclose(a, b, abs_tol=1e-5) for a, b in pairs)


# ------------------------------------------------------------- probabilities


@pytest.mark.parametrize("temperatures", [{}, {"diagnosis": 0.5, "streaks": 3.0}])
def test_probabilities_are_the_softmax_of_divided_logits(model, temperatures):
    model = trained(temperatures=temperatures)
    clinical, dermoscopy = picture(0), picture(1)
    images = {"clinical": clinical, "dermoscopy": dermoscopy}
    inputs = [torch.from_numpy(model.preprocess[name](image))[None] for name, image in images.items()]
    with torch.no_grad():
        logits = {task: values[0].double().numpy() for task, values in model(*inputs).items()}
    found = model.predict(clinical, dermoscopy)
    assert isinstance(found, Prediction) and found.model == "amf_test" and found.missing == ()
    for task, classes in TASKS.items():
        powers = np.exp(logits[task] / temperatures.get(task, 1.0))
        expected = dict(zip(classes, powers / powers.sum()))
        assert list(found.probabilities[task]) == list(classes)
        assert found.probabilities[task] == pytest.approx(expected, abs=1e-6)


def test_each_branch_has_its_own_preprocessing(model):
    image = picture(0)
    inputs = [torch.from_numpy(model.preprocess[name](image))[None] for name in ("clinical", "dermoscopy")]
    assert not torch.equal(*inputs)
    with torch.no_grad():
        expected = model(*inputs)["diagnosis"].softmax(1)[0].tolist()
    assert list(model.predict(image, image).diagnosis.values()) == pytest.approx(expected, abs=1e-6)


def test_half_precision_network(model):
    images = picture(0), picture(1)
    expected, found = model.predict(*images), trained().bfloat16().predict(*images)
    for task in TASKS:
        assert found.probabilities[task] == pytest.approx(expected.probabilities[task], abs=0.05)


# -------------------------------------------------------------------- sources


def sources(array: np.ndarray, folder) -> dict[str, object]:
    image, stream = Image.fromarray(array), io.BytesIO()
    image.save(stream, "PNG")
    path = folder / "image.png"
    path.write_bytes(stream.getvalue())
    return {
        "array": array,
        "PIL": image,
        "bytes": stream.getvalue(),
        "path": path,
        "text": str(path),
        "file": io.BytesIO(stream.getvalue()),
    }


def test_every_kind_of_source_is_the_same_image(model, tmp_path):
    expected = model.predict(picture(0), picture(1))
    for kind, source in sources(picture(0), tmp_path).items():
        assert model.predict(source, picture(1)) == expected, kind
    for kind, source in sources(picture(1), tmp_path).items():
        assert model.predict(clinical=picture(0), dermoscopy=source) == expected, kind


# ------------------------------------------------------------- missing images


def test_lists_with_missing_images(model):
    clinical, dermoscopy = pictures(3), pictures(3, first=10)
    clinical[1] = dermoscopy[2] = None
    found = model.predict(clinical, dermoscopy)
    assert [p.missing for p in found] == [(), ("clinical",), ("dermoscopy",)]
    for prediction, pair_of_images in zip(found, zip(clinical, dermoscopy)):
        assert close(prediction, model.predict(*pair_of_images))
    whole = model.predict(pictures(3), pictures(3, first=10))
    assert [close(a, b) for a, b in zip(found, whole)] == [True, False, False]


def test_one_list_alone(model):
    for branch, other in (("clinical", "dermoscopy"), ("dermoscopy", "clinical")):
        found = model.predict(**{branch: pictures(2)})
        assert [p.missing for p in found] == [(other,)] * 2
        assert all(close(p, model.predict(**{branch: image})) for p, image in zip(found, pictures(2)))
    assert model.predict([], []) == []


def test_network_of_one_branch():
    model = trained(clinical=None)
    both = model.predict(picture(0), picture(1))
    assert both.missing == () and close(both, model.predict(dermoscopy=picture(1)))
    with pytest.raises(PredictionError, match="reads the dermoscopy image alone"):
        model.predict(clinical=picture(0))


@pytest.mark.parametrize(
    "images, message",
    [
        ((None, None), "both images are missing"),
        (([picture(0), None], [picture(1), None]), "both images are missing"),
        ((pictures(2), pictures(3)), "2 clinical and 3 dermoscopy"),
        ((picture(0), pictures(1)), "one image for clinical and a list"),
        ((pictures(1), picture(0)), "one image for dermoscopy and a list"),
        (((picture(0), picture(1)), None), "a pair as two arguments"),
    ],
)
def test_pairs_that_cannot_be_answered(model, images, message):
    with pytest.raises(PredictionError, match=message):
        model.predict(*images)


def test_an_error_says_which_pair_and_which_image(model):
    good, text = picture(0), b"no picture"
    with pytest.raises(ImageError, match=r"^pair 2 \(counted from 0\): dermoscopy image, <bytes>: "):
        model.predict([good] * 3, [good, good, text], batch_size=2)
    with pytest.raises(PredictionError, match=r"^pair 1 \(counted from 0\): both images are missing"):
        model.predict([good, None], [None, None])
    with pytest.raises(ImageError, match="^clinical image, <bytes>: "):  # of one pair there is no number to say
        model.predict(text, good)


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"batch_size": 2.5}, {"errors": "ignore"}, {"workers": 0}])
def test_bad_options(model, options):
    with pytest.raises(PredictionError, match=next(iter(options))):  # at once, not with the first answer
        predict_stream(model, [(picture(0), None)], **options)


@pytest.mark.parametrize("bad", ["c.jpg", None, (picture(0),), {"clinical": picture(0), "dermoscopy": None}])
def test_what_is_no_pair_keeps_its_position(model, bad):
    good = (picture(0), picture(1))
    first, error, last = predict_stream(model, [good, bad, good], errors="return")
    assert isinstance(error, PredictionError) and "(clinical, dermoscopy)" in str(error)
    assert first == last


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
