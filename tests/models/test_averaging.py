"""The mean of networks' weights, tensor by tensor."""

from __future__ import annotations

import pytest
import torch
from networks import TASKS, build, pair, settle

from amfzoo.errors import ConfigError
from amfzoo.models.averaging import averaged


def test_tensors_that_all_have_are_averaged_by_their_shares_and_others_stay():
    one, other = build(seed=0, tasks=TASKS), build(seed=1, tasks={**TASKS, "streaks": ("absent", "present")})
    before, state = ({name: v.clone() for name, v in m.state_dict().items()} for m in (one, other))
    found = averaged([one, other], [0.75, 0.25]).state_dict()
    assert found.keys() == before.keys()
    for name, values in before.items():
        shared = name in state and state[name].shape == values.shape and values.is_floating_point()
        torch.testing.assert_close(found[name], 0.75 * values + 0.25 * state[name] if shared else values)
        assert torch.equal(one.state_dict()[name], values)  # the networks themselves stay
    assert not torch.equal(found["heads.diagnosis.weight"], before["heads.diagnosis.weight"])
    assert torch.equal(found["heads.streaks.weight"], before["heads.streaks.weight"])


def test_the_mean_of_one_network_answers_as_it_does_and_has_no_name_of_it():
    network = settle(build())
    network.config = network.config.replace(
        info={"name": "mine", "license": "CC0-1.0", "metrics": []}, temperatures={"diagnosis": 2.0}
    )
    mean = averaged([network, network])
    assert mean.config.info == {"license": "CC0-1.0"} and not mean.config.temperatures and not mean.training
    with torch.no_grad():
        for task, logits in network(*pair()).items():
            torch.testing.assert_close(mean(*pair())[task], logits)


def test_a_head_is_untrained_where_it_is_so_in_all():
    one, other = build(seed=0), build(seed=1)
    one.mark_untrained(one.tasks)
    assert not averaged([one, other]).untrained
    other.mark_untrained([next(iter(other.tasks))])
    assert averaged([one, other]).untrained == (next(iter(other.tasks)),)


@pytest.mark.parametrize("shares", [[1.0], [0.5, 0.4], [0.5, 0.5, 0.0]])
def test_shares_that_do_not_fit_are_refused(shares):
    with pytest.raises(ConfigError, match="2 numbers that sum to 1"):
        averaged([build(), build()], shares)
    with pytest.raises(ConfigError, match="no networks"):
        averaged([])


def test_heads_of_other_classes_in_the_same_number_are_those_of_the_first():
    one = build(seed=0, tasks={"diagnosis": ("a", "b"), "streaks": ("absent", "present")}, auxiliary_heads=True)
    other = build(seed=1, tasks={"diagnosis": ("b", "a"), "streaks": ("absent", "present")}, auxiliary_heads=True)
    one.mark_untrained(["diagnosis"])
    mean = averaged([one, other])
    for name, values in mean.state_dict().items():
        if "diagnosis" in name:
            assert torch.equal(values, one.state_dict()[name]), name
    torch.testing.assert_close(
        mean.heads["streaks"].weight, (one.heads["streaks"].weight + other.heads["streaks"].weight) / 2
    )
    assert mean.untrained == ("diagnosis",)  # its values are those of the first, whatever the other has learned


@pytest.mark.parametrize("change", [{"fusion": "none"}, {"attention_heads": 1}, {"clinical": "test_resnet"}])
def test_networks_that_are_built_otherwise_have_no_mean(change):
    with pytest.raises(ConfigError, match="network 2 .* is built otherwise than the first"):
        averaged([build(), build(**change)])
