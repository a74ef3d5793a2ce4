"""Learning from trained networks besides the labels."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from lesions import TINY

import amfzoo
from amfzoo.errors import ConfigError
from amfzoo.images import Preprocess
from amfzoo.training import finetune, load_config
from amfzoo.training.teachers import Teachers


@pytest.fixture(scope="module")
def teacher(data, tmp_path_factory) -> str:
    """A network that knows the colours."""
    settings = {**TINY, "epochs": 8}
    run = finetune("amf_test", data, out=tmp_path_factory.mktemp("t") / "run", device="cpu", progress=False, **settings)
    return f"local-dir:{run.folder / 'model'}"


def network(**settings) -> amfzoo.PairNetwork:
    torch.manual_seed(3)
    return learned({"colour": ("red", "green", "blue")}, **settings)


def learned(tasks: dict, **settings) -> amfzoo.PairNetwork:
    """Random values that pass for learned ones."""
    model = amfzoo.create_model("amf_test", tasks=tasks, **settings)
    model.mark_untrained(())
    return model


def pair(count: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    return torch.randn(count, 3, 64, 64, generator=random), torch.randn(count, 3, 64, 64, generator=random)


@pytest.mark.slow
def test_what_is_taught_is_the_mean_of_the_calibrated_probabilities(teacher, tmp_path):
    other = network()
    other.config = other.config.replace(temperatures={"colour": 2.0})
    folder = other.save_pretrained(tmp_path / "other")
    student, present = network(), torch.tensor([[True, True], [True, False], [False, True], [True, True]])
    taught = Teachers([teacher, f"local-dir:{folder}"], student, torch.device("cpu")).probabilities(pair(), present)
    expected = 0
    for model in (amfzoo.create_model(teacher), other.eval()):
        with torch.no_grad():
            logits = model(*pair(), present)["colour"] / model.config.temperatures.get("colour", 1.0)
        expected = expected + logits.softmax(1) / 2
    torch.testing.assert_close(taught["colour"], expected, atol=1e-5, rtol=0)


def test_a_teacher_sees_the_picture_in_its_own_normalisation(tmp_path):
    """Two networks of the same weights that differ in mean and deviation answer alike for the same picture."""
    own = Preprocess(mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    student, model = network(), network(clinical_preprocess=own, dermoscopy_preprocess=own)
    folder = model.save_pretrained(tmp_path / "model")
    usual = student.preprocess["clinical"]
    pictures = [(image - image.min()) / (image.max() - image.min()) for image in pair()]

    def fed(p: Preprocess) -> list[torch.Tensor]:
        return [(x - torch.tensor(p.mean)[:, None, None]) / torch.tensor(p.std)[:, None, None] for x in pictures]

    present = torch.ones(4, 2, dtype=torch.bool)
    taught = Teachers([f"local-dir:{folder}"], student, torch.device("cpu")).probabilities(fed(usual), present)
    with torch.no_grad():
        expected = model.eval()(*fed(own), present)["colour"].softmax(1)
    torch.testing.assert_close(taught["colour"], expected, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_the_loss_is_the_divergence_of_the_student(teacher):
    teachers = Teachers([teacher], network(), torch.device("cpu"))
    logits, p = torch.randn(5, 3), torch.rand(5, 3).softmax(1)
    value = teachers.loss(
        {"colour": logits, "other": torch.randn(5, 2)}, {"colour": p}, {"colour": 0.25, "other": 0.75}
    )
    torch.testing.assert_close(value, F.kl_div(logits.log_softmax(1), p, reduction="none").sum())
    assert teachers.loss({"colour": p.log()}, {"colour": p}, {"colour": 1.0}).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.slow
def test_a_task_that_nobody_teaches_is_told_of(teacher, data, tmp_path, caplog):
    tasks = {**data.tasks, "streaks": ("absent", "present")}
    settings = {**TINY, "epochs": 1, "teachers": teacher}
    finetune("amf_test", replace(data, tasks=tasks), out=tmp_path, device="cpu", progress=False, **settings)
    assert "neither a label nor a teacher teaches the task 'streaks'" in caplog.text
    assert "the task 'colour'" not in caplog.text


def test_tasks_count_by_their_weights():
    logits, p = ({"colour": torch.randn(5, 3), "shade": torch.randn(5, 2)} for _ in range(2))
    p = {task: values.softmax(1) for task, values in p.items()}
    divergences = {task: (p[task] * (p[task].log() - logits[task].log_softmax(1))).sum() for task in p}
    value = Teachers((), network(), torch.device("cpu")).loss(logits, p, {"colour": 0.25, "shade": 0.75})
    torch.testing.assert_close(value, 0.25 * divergences["colour"] + 0.75 * divergences["shade"])


@pytest.mark.slow
def test_a_student_learns_what_only_the_teacher_knows(teacher, data, tmp_path):
    """All labels but those of two lesions are gone."""
    few = {lesion.id for lesion in data if lesion.id in ("L0", "L1", "L2", "L12", "L13", "L14")}
    marked = [
        replace(lesion, labels=lesion.labels if lesion.id in few else {"colour": ("red", "green")}) for lesion in data
    ]
    unlabelled = replace(data, lesions=tuple(marked))
    settings = {**TINY, "epochs": 8, "valid": 0.0, "metric": "loss", "teachers": teacher, "distill": 1.0}
    run = finetune("amf_test", unlabelled, out=tmp_path / "run", device="cpu", progress=False, **settings)
    assert load_config(file=run.folder / "config.yaml").teachers == (teacher,)
    known = [lesion for lesion in data if isinstance(lesion.labels.get("colour"), str) and len(lesion.images) == 2]
    answers = run.model.predict([lesion.clinical for lesion in known], [lesion.dermoscopy for lesion in known])
    right = [answer.top("colour")[0] == lesion.labels["colour"] for answer, lesion in zip(answers, known)]
    assert sum(right) >= 0.8 * len(right)


@pytest.mark.slow
def test_useless_teachers_are_refused(teacher):
    other = amfzoo.create_model("amf_test", tasks={"veil": ("absent", "present")})
    with pytest.raises(ConfigError, match="of veil, .* teaches none: it knows none of these tasks"):
        Teachers([teacher], other, torch.device("cpu"))
    with pytest.raises(ConfigError, match="needs an image"):
        Teachers([teacher], network(clinical=None), torch.device("cpu"))
    with pytest.raises(ConfigError, match="not the name of a model"):
        load_config(teachers=[3])


@pytest.mark.slow
def test_a_teacher_may_have_the_classes_in_another_order_and_case(teacher, tmp_path):
    own = amfzoo.create_model(teacher)
    order = ["green", "blue", "red"]
    own.reset_heads({"colour": [name.title() for name in order]})
    known = amfzoo.create_model(teacher)
    rows = torch.tensor([known.tasks["colour"].index(name) for name in order])
    with torch.no_grad():
        own.heads["colour"].weight.copy_(known.heads["colour"].weight[rows])
        own.heads["colour"].bias.copy_(known.heads["colour"].bias[rows])
    own.config = own.config.replace(temperatures=dict(known.config.temperatures))
    own.mark_untrained(())
    name = f"local-dir:{own.save_pretrained(tmp_path / 'other')}"
    present = torch.ones(4, 2, dtype=torch.bool)
    plain, other = (
        Teachers([n], network(), torch.device("cpu")).probabilities(pair(), present) for n in (teacher, name)
    )
    torch.testing.assert_close(other["colour"], plain["colour"])


def test_a_teacher_of_other_classes_has_no_say_in_a_task(tmp_path, caplog):
    tasks = {"colour": ("red", "green", "blue"), "shade": ("light", "dark")}
    student, one = (learned(tasks) for _ in range(2))
    other = learned({**tasks, "colour": ("blue", "green", "grey")})
    folders = [f"local-dir:{net.save_pretrained(tmp_path / name)}" for name, net in (("one", one), ("other", other))]
    present = torch.ones(2, 2, dtype=torch.bool)
    alone, both = (
        Teachers(names, student, torch.device("cpu")).probabilities(pair(2), present)
        for names in (folders[:1], folders)
    )
    torch.testing.assert_close(both["colour"], alone["colour"])
    assert not torch.allclose(both["shade"], alone["shade"])
    assert "teaches nothing of colour: it has other classes for colour" in caplog.text
    colour = amfzoo.create_model("amf_test", tasks={"colour": tasks["colour"]})
    with pytest.raises(ConfigError, match="teaches none: it has other classes for colour"):
        other = learned({"colour": ("blue", "grey")}).save_pretrained(tmp_path / "none")
        Teachers([f"local-dir:{other}"], colour, torch.device("cpu"))


def test_a_teacher_has_no_say_in_a_task_that_it_never_learned(tmp_path, caplog):
    tasks = {"colour": ("red", "green", "blue"), "shade": ("light", "dark")}
    teacher = learned(tasks)
    teacher.mark_untrained(["shade"])
    name = f"local-dir:{teacher.save_pretrained(tmp_path / 'teacher')}"
    assert set(Teachers([name], teacher, torch.device("cpu")).tasks) == {"colour"}
    assert "teaches nothing of shade: it has random values for shade" in caplog.text
    with pytest.raises(ConfigError, match="of shade, .* teaches none: it has random values for shade"):
        Teachers([name], learned({"shade": tasks["shade"]}), torch.device("cpu"))


def test_a_teacher_says_nothing_of_images_that_it_does_not_read(tmp_path):
    both, one = network(), network(clinical=None)
    folders = [f"local-dir:{net.save_pretrained(tmp_path / name)}" for name, net in (("both", both), ("one", one))]
    present = torch.tensor([[True, True], [True, False]])
    images = pair(2)
    alone, first, all_of_them = (
        Teachers(names, both, torch.device("cpu")).probabilities(images, present)["colour"]
        for names in (folders[1:], folders[:1], folders)
    )
    assert alone[0].sum() == pytest.approx(1) and alone[1].sum() == 0  # so that the second lesion's loss is 0
    torch.testing.assert_close(all_of_them[0], (alone[0] + first[0]) / 2)
    torch.testing.assert_close(all_of_them[1], first[1])
