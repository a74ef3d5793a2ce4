"""The loss against torch's cross-entropy and against its formula written out."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from amfzoo.errors import ConfigError
from amfzoo.training.config import TrainConfig, parse_setting
from amfzoo.training.loss import PairLoss, case_losses, partial_label_loss
from amfzoo.training.targets import class_frequencies, class_weights, exact


def _logits(rows: int = 6, classes: int = 5, scale: float = 3.0) -> torch.Tensor:
    return (scale * torch.randn(rows, classes, generator=torch.Generator().manual_seed(0))).requires_grad_()


def _mask(*rows: tuple[int, ...], classes: int = 5) -> torch.Tensor:
    return torch.tensor([[i in row for i in range(classes)] for row in rows])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
def test_exact_labels_give_cross_entropy_and_its_gradient(smoothing, weighted):
    weight = torch.tensor([0.3, 2.0, 1.0, 0.7, 1.5]) if weighted else None
    labels = torch.tensor([0, 4, 2, 2, 1, 3])
    ours, theirs = _logits(), _logits()
    loss = partial_label_loss(ours, F.one_hot(labels, 5).bool(), weight, smoothing)
    reference = F.cross_entropy(theirs, labels, weight, label_smoothing=smoothing)
    loss.backward()
    reference.backward()
    torch.testing.assert_close(loss, reference)
    torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize(("smoothing", "gamma"), [(0.0, 0.0), (0.2, 0.0), (0.0, 2.0), (0.0, 0.5)])
def test_candidate_sets_follow_the_formula(smoothing, gamma):
    logits, weight = _logits(4), torch.tensor([0.5, 1.0, 2.0, 1.0, 0.25])
    rows = [(0, 1), (2,), (1, 3, 4), (0, 2, 3, 4)]
    expected_loss, expected_weight = 0.0, 0.0
    for values, row in zip(logits.detach().tolist(), rows):
        p = [math.exp(v) / sum(map(math.exp, values)) for v in values]
        inside, w = sum(p[i] for i in row), sum(float(weight[i]) for i in row) / len(row)
        spread = sum(-float(weight[i]) * math.log(p[i]) for i in range(5)) / 5
        expected_loss += (1 - smoothing) * w * (1 - inside) ** gamma * -math.log(inside) + smoothing * spread
        expected_weight += w
    loss = partial_label_loss(logits, _mask(*rows), weight, smoothing, gamma)
    assert loss.item() == pytest.approx(expected_loss / expected_weight, rel=1e-5)


@pytest.mark.parametrize("nothing_known", [(), (0, 1, 2, 3, 4)])
@pytest.mark.parametrize("settings", [{}, {"smoothing": 0.1}, {"gamma": 2.0}])
def test_unknown_labels_have_no_loss_no_gradient_and_no_share_in_the_mean(nothing_known, settings):
    logits = _logits(3)
    loss = partial_label_loss(logits, _mask((1,), nothing_known, (0, 2)), **settings)
    loss.backward()
    assert not logits.grad[1].any()
    alone = partial_label_loss(logits[[0, 2]].detach(), _mask((1,), (0, 2)), **settings)
    torch.testing.assert_close(loss.detach(), alone)


@pytest.mark.parametrize("settings", [{}, {"smoothing": 0.1}, {"gamma": 2.0}, {"gamma": 0.5}])
@pytest.mark.parametrize("scale", [1e4, 1e8])
def test_extreme_logits_give_finite_losses_and_gradients(settings, scale):
    values = scale * torch.tensor([[1.0, -1, 0, 0, 0], [-1.0, 1, 1, 1, 1], [1.0, 1, 1, 1, 1], [0.0, 0, 0, 0, -1]])
    logits = values.requires_grad_()
    loss = partial_label_loss(logits, _mask((0,), (0,), (0, 1), ()), **settings)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(logits.grad).all()


def test_a_step_without_a_label_of_a_task_gives_zero_and_reaches_every_head():
    logits = {name: _logits(4, 3) for name in ("a", "b", "clinical/a", "clinical/b")}
    targets = {"a": _mask((0,), (1,), (), (2,), classes=3), "b": _mask((), (), (), (), classes=3)}
    loss = PairLoss({"a": torch.ones(3), "b": torch.ones(3)}, auxiliary=0.5)
    present = torch.tensor([[True, True], [False, True], [True, True], [True, True]])
    loss(logits, targets, present, loss.totals(targets, present)).backward()
    for name, values in logits.items():
        assert values.grad is not None and torch.isfinite(values.grad).all()
        assert bool(values.grad.any()) == name.endswith("a")
    assert not logits["clinical/a"].grad[1].any()  # that lesion has no clinical image


def test_only_one_candidate_is_a_known_class_and_all_of_them_say_nothing():
    masks = _mask((1,), (0, 1), (0, 1, 2), (), classes=3)
    assert exact(masks).tolist() == [True, False, False, False]
    loss, present = PairLoss({"a": torch.tensor([1.0, 3, 5])}), torch.ones(4, 2, dtype=torch.bool)
    assert loss.totals({"a": masks}, present) == {"a": 5.0, "clinical/a": 5.0, "dermoscopy/a": 5.0}


def test_the_losses_of_parts_add_up_to_that_of_the_step():
    heads = ("a", "b", "dermoscopy/a", "dermoscopy/b")
    logits = {name: _logits(7, 3) for name in heads}
    targets = {
        "a": _mask((0,), (1,), (), (2,), (0, 1), (1,), (), classes=3),
        "b": _mask((), (1,), (), (), (2,), (), (0, 2), classes=3),
    }
    present = torch.tensor([[True, number % 3 > 0] for number in range(7)])
    loss = PairLoss({"a": torch.tensor([1.0, 2, 3]), "b": torch.ones(3)}, {"b": 3.0}, smoothing=0.1, auxiliary=0.3)
    totals = loss.totals(targets, present)

    def of(rows) -> torch.Tensor:
        return loss(
            {h: v[rows] for h, v in logits.items()}, {t: m[rows] for t, m in targets.items()}, present[rows], totals
        )

    torch.testing.assert_close(of(slice(0, 3)) + of(slice(3, 7)), of(slice(0, 7)))
    shifted = {h: v + loss.weights[h[-1]].log() for h, v in logits.items()}  # see the test below
    main = 0.25 * partial_label_loss(shifted["a"], targets["a"], loss.weights["a"], 0.1) + 0.75 * partial_label_loss(
        logits["b"], targets["b"], None, 0.1
    )
    seen = present[:, 1]
    side = 0.25 * partial_label_loss(
        shifted["dermoscopy/a"][seen], targets["a"][seen], loss.weights["a"], 0.1
    ) + 0.75 * partial_label_loss(logits["dermoscopy/b"][seen], targets["b"][seen], None, 0.1)
    torch.testing.assert_close(of(slice(0, 7)), main + 0.3 * side)


def test_case_losses_of_half_precision_are_computed_in_single():
    loss, weight = case_losses(_logits().half(), _mask(*[(1,)] * 6))
    assert loss.dtype == weight.dtype == torch.float32


def test_class_weights_follow_frequencies_and_ignore_unknown_labels():
    masks = _mask((0,), (0,), (0,), (0,), (1, 2), (1, 2), (), (0, 1, 2, 3), classes=4)
    assert class_frequencies(masks).tolist() == [4, 1, 1, 0]
    found = class_weights({"t": masks}, {"t": tuple("abcd")}, "inverse_sqrt")["t"]
    torch.testing.assert_close(found, torch.tensor([0.6, 1.2, 1.2, 1.0]))
    assert class_weights({"t": masks}, {"t": tuple("abcd")}, {"t": {"b": 3.0}})["t"].tolist() == [1, 3, 1, 1]
    with pytest.raises(ConfigError, match="the task 't' has no class 'z' .* it has a, b, c, d$"):
        class_weights({"t": masks}, {"t": tuple("abcd")}, {"t": {"z": 3.0}})
    with pytest.raises(ConfigError, match="no task 'u'; it has t$"):
        class_weights({"t": masks}, {"t": tuple("abcd")}, {"u": {"a": 3.0}})
    with pytest.raises(ConfigError, match=r"all classes of 't' weigh 0, .* say task_weights=\{t: 0\}$"):
        class_weights({"t": masks}, {"t": tuple("abcd")}, {"t": dict.fromkeys("abcd", 0.0)})
    assert class_weights({"t": masks}, {"t": tuple("ab")}, {"t": {"a": 0.0}})["t"].tolist() == [0, 1]


@pytest.mark.parametrize(("names", "right"), [("{yes: 3, no: 1}", False), ("{'yes': 3, 'no': 1}", True)])
def test_classes_that_yaml_takes_for_true_and_false_are_told_of(names, right):
    rule = TrainConfig.create(dict([parse_setting(f"class_weights={{bcc: {names}}}")])).class_weights
    targets, tasks = {"bcc": _mask((0,), (1,), classes=2)}, {"bcc": ("no", "yes")}
    if right:
        assert class_weights(targets, tasks, rule)["bcc"].tolist() == [1, 3]
    else:
        with pytest.raises(ConfigError, match=r"it has no, yes\. YAML reads a bare yes .* \{'yes': 3, 'no': 1\}"):
            class_weights(targets, tasks, rule)


def test_class_weights_leave_the_frequencies_of_the_data_in_the_probabilities():
    labels = torch.tensor([0] * 80 + [1] * 15 + [2] * 5)
    targets, present = {"a": torch.eye(3, dtype=torch.bool)[labels]}, torch.ones(100, 2, dtype=torch.bool)
    loss = PairLoss({"a": torch.tensor([0.2, 1.0, 1.8])})
    logits = torch.zeros(3, requires_grad=True)  # a network that knows the frequencies and nothing else
    optimizer = torch.optim.LBFGS([logits], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = loss({"a": logits.expand(100, 3)}, targets, present, loss.totals(targets, present))
        value.backward()
        return value

    optimizer.step(closure)
    torch.testing.assert_close(logits.detach().softmax(0), torch.tensor([0.80, 0.15, 0.05]), atol=1e-3, rtol=0)


def test_kept_class_weights_stay_in_the_probabilities():
    """The loss is least where a network answers p * w ** kept, p being how frequent the classes are."""
    labels = torch.tensor([0] * 12 + [1] * 3 + [2] * 1)
    masks, present = F.one_hot(labels, 3).bool(), torch.ones(16, 2, dtype=torch.bool)
    weight, frequency = torch.tensor([0.5, 1.0, 1.7]), torch.tensor([12.0, 3.0, 1.0]) / 16
    for kept in (0.0, 0.4, 1.0):
        loss = PairLoss({"d": weight}, kept={"d": kept})
        bias = torch.zeros(3, requires_grad=True)
        optimizer = torch.optim.LBFGS([bias], max_iter=100, line_search_fn="strong_wolfe")

        def closure():
            optimizer.zero_grad()
            value = loss({"d": bias.expand(16, 3)}, {"d": masks}, present, loss.totals({"d": masks}, present))
            value.backward()
            return value

        optimizer.step(closure)
        expected = frequency * weight**kept
        torch.testing.assert_close(bias.detach().softmax(0), expected / expected.sum(), atol=1e-3, rtol=0)
        natural = loss.as_frequent({"d": bias.detach()[None]})["d"].softmax(1)[0]
        torch.testing.assert_close(natural, frequency, atol=1e-3, rtol=0)


def test_a_branch_that_was_not_mixed_learns_its_own_label_alone():
    targets = {"diagnosis": _mask((0,), classes=2)}
    loss = PairLoss({"diagnosis": torch.ones(2)}, auxiliary=1.0)
    logits = {name: torch.zeros(1, 2, requires_grad=True) for name in ("diagnosis", "clinical/diagnosis")}
    present = torch.tensor([[True, True]])
    totals = loss.totals(targets, present)
    own = {"": torch.tensor([0.6]), "clinical": torch.tensor([1.0]), "dermoscopy": torch.tensor([0.6])}
    partners = {of: 1 - share for of, share in own.items()}
    other = {"diagnosis": _mask((1,), classes=2)}
    (loss(logits, targets, present, totals, own) + loss(logits, other, present, totals, partners)).backward()
    torch.testing.assert_close(logits["diagnosis"].grad, torch.tensor([[0.5 - 0.6, 0.5 - 0.4]]))
    torch.testing.assert_close(logits["clinical/diagnosis"].grad, torch.tensor([[0.5 - 1, 0.5]]))
