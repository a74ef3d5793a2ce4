"""From images to predictions: sources, batches, missing images, errors."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
import torch
from networks import TASKS
from PIL import Image
from predictor_case import close, picture, pictures, trained

from amfzoo import ImageError, Prediction, PredictionError, create_model, predict_stream
from amfzoo.inference.table import predict_table


@pytest.fixture(scope="module")
def model():
    return trained()


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


def test_operating_points_of_the_weights_are_those_of_every_answer(tmp_path):
    """Also in a table, after loading, and with other heads beside; not once the network is another."""
    tasks = {"veil": ("absent", "present"), "grade": ("low", "high")}
    model = trained(tasks=tasks)
    rows = model.predict(picture(0), picture(1)).probabilities
    points = {"veil": {"present": rows["veil"]["present"] - 1e-3}, "grade": {"high": rows["grade"]["high"] + 1e-3}}
    model.config = model.config.replace(operating_points=points)
    folder = model.save_pretrained(tmp_path / "model")
    loaded = create_model(folder)
    for i in range(2):
        Image.fromarray(picture(i)).save(tmp_path / f"{i}.png")
    (tmp_path / "in.csv").write_text("clinical,dermoscopy\n0.png,1.png\n")
    predict_table(loaded, tmp_path / "in.csv", tmp_path / "out.csv")
    (row,) = csv.DictReader((tmp_path / "out.csv").open())
    answer = loaded.predict(picture(0), picture(1))
    assert (row["veil"], row["grade"]) == ("present", "low") == (answer.called("veil")[0], answer.called("grade")[0])
    changed = create_model(folder, tasks={"grade": tasks["grade"], "new": ("a", "b")})
    assert changed.config.operating_points == {"grade": points["grade"]}
    # kept with its head, when saved too; until the weights are others
    again = create_model(changed.save_pretrained(tmp_path / "kept"))
    assert again.config.operating_points == {"grade": points["grade"]}
    with torch.no_grad():
        changed.heads["grade"].bias += 0.1
    assert create_model(changed.save_pretrained(tmp_path / "other")).config.operating_points == {}
    with torch.no_grad():
        loaded.heads["grade"].bias += 0.1
    assert create_model(loaded.save_pretrained(tmp_path / "changed")).config.operating_points == {}


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
    if "batch_size" in options:
        with pytest.raises(PredictionError, match="batch_size"):  # which one pair would not need
            model.predict(picture(0), None, **options)


@pytest.mark.parametrize("bad", ["c.jpg", None, (picture(0),), {"clinical": picture(0), "dermoscopy": None}])
def test_what_is_no_pair_keeps_its_position(model, bad):
    good = (picture(0), picture(1))
    first, error, last = predict_stream(model, [good, bad, good], errors="return")
    assert isinstance(error, PredictionError) and "(clinical, dermoscopy)" in str(error)
    assert first == last
