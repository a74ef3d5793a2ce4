"""The optimiser's groups and the rates of the schedule."""

from __future__ import annotations

import pytest
from networks import build

from amfzoo.training import TrainConfig
from amfzoo.training.optimizer import Schedule, make_optimizer


def _rates(steps: int, **settings) -> list[list[float]]:
    """Of each parameter group, step by step."""
    config = TrainConfig(**settings)
    optimizer = make_optimizer(build(), config)
    schedule = Schedule(optimizer, config, steps)
    rates = []
    for step in range(steps):
        schedule.step_update(step + 1)
        rates.append([group["lr"] for group in optimizer.param_groups])
    return rates


@pytest.mark.parametrize("schedule", ["cosine", "poly", "wsd"])
def test_rates_rise_to_lr_and_fall_and_no_step_is_wasted(schedule):
    rates = [max(step) for step in _rates(40, schedule=schedule, lr=1e-2, warmup=0.25)]
    top = rates.index(max(rates))
    assert 8 <= top <= 11 and max(rates) == pytest.approx(1e-2, rel=0.02)
    assert rates[:top] == sorted(rates[:top]) and rates[top:] == sorted(rates[top:], reverse=True)
    assert 0 < rates[0] < 2e-3 and 0 < rates[-1] < 1.5e-3


@pytest.mark.parametrize("schedule", ["cosine", "poly", "constant", "wsd"])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_runs_of_few_steps_have_a_rate(steps, schedule):
    assert all(min(step) > 0 for step in _rates(steps, schedule=schedule))


def test_parts_with_a_share_of_the_rate_have_it_to_the_end():
    """Below min_lr too: theirs must not rise to it while that of all else falls."""
    rates = _rates(20, lr=1e-2, min_lr=2e-3, fusion_lr=0.0, layer_decay=0.5)
    for step in rates:
        assert [rate / max(step) for rate in step] == pytest.approx([rate / max(rates[0]) for rate in rates[0]])
    assert min(rates[0]) == 0 and max(rates[-1]) == pytest.approx(2e-3, rel=0.05)


def test_layer_decay_and_weight_decay_reach_the_groups():
    rates = _rates(20, layer_decay=0.5, lr=1e-2)[10]
    assert max(rates) > 3 * min(rates)
    groups = make_optimizer(build(), TrainConfig(weight_decay=0.1)).param_groups
    assert {group["weight_decay"] for group in groups} == {0.0, 0.1}


def test_the_attention_learns_at_a_tenth_of_the_rate_unless_told_otherwise():
    network = build()
    in_fusion = {id(parameter) for parameter in network.fusion.parameters()}

    def rates(**settings) -> tuple[list[float], list[float]]:
        """Of the attention, and of all else."""
        groups = make_optimizer(network, TrainConfig(lr=1e-2, **settings)).param_groups
        found = [(group["lr"], id(parameter) in in_fusion) for group in groups for parameter in group["params"]]
        return sorted({rate for rate, inside in found if inside}), sorted(
            {rate for rate, inside in found if not inside}
        )

    assert rates() == (pytest.approx([1e-3]), [1e-2])
    assert rates(fusion_lr=1.0) == ([1e-2], [1e-2])


def test_what_is_frozen_is_not_optimised():
    network = build()
    network.freeze("clinical")
    held = {id(p) for group in make_optimizer(network, TrainConfig()).param_groups for p in group["params"]}
    assert not held & {id(p) for p in network.branches["clinical"].parameters()}
    assert held >= {id(p) for p in network.branches["dermoscopy"].parameters()}


@pytest.mark.parametrize("steps, warmup", [(10, 0.9), (2, 0.5), (3, 0.5)])
def test_a_warm_up_that_leaves_nothing_to_decay_over(steps, warmup):
    assert all(min(step) > 0 for step in _rates(steps, schedule="wsd", warmup=warmup))
