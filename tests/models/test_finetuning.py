"""Freezing, optimiser groups, new heads, dropout, auxiliary heads, statistics in training."""

from __future__ import annotations

import pytest
import torch
from networks import TASKS, build, loss, pair, perturb, settle

from amfzoo import ConfigError
from amfzoo.models.parts import PooledNorm, make_heads

# ------------------------------------------------------------------ freezing


def state_of(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in module.state_dict().items()}


def train_a_step(network) -> set[str]:
    """One step of gradient descent; returns the top-level parts whose parameters or statistics changed."""
    before = state_of(network.train())
    network.zero_grad()
    loss(network(*pair(4), torch.tensor([(1, 1), (0, 1), (1, 0), (1, 1)]).bool())).backward()
    torch.optim.SGD([p for p in network.parameters() if p.grad is not None], lr=0.1).step()
    changed = [key for key, value in network.state_dict().items() if not torch.equal(value, before[key])]
    return {".".join(key.split(".")[: 2 if key.startswith("branches") else 1]) for key in changed}


EVERYTHING = {"branches.clinical", "branches.dermoscopy", "fusion", "heads", "norms", "absent"}
FROZEN = {
    "clinical": {"branches.clinical"},
    "dermoscopy": {"branches.dermoscopy"},
    "fusion": {"fusion"},
    "heads": {"heads", "norms", "absent"},
}


@pytest.mark.parametrize("parts", [("clinical",), ("dermoscopy",), ("fusion",), ("heads",), ("clinical", "dermoscopy")])
def test_frozen_parts_do_not_change(parts):
    network = perturb(build())
    network.freeze(*parts)
    assert train_a_step(network) == EVERYTHING - set().union(*(FROZEN[part] for part in parts))
    for part in parts:
        if part in network.branches:
            assert all(p.grad is None and not p.requires_grad for p in network.branches[part].parameters())


def test_freezing_holds_through_modes_and_no_argument_ends_it():
    network = perturb(build()).eval()
    network.freeze("clinical")
    network.train().eval().train()
    branch = network.branches["clinical"]
    assert not any(module.training for module in branch.modules())
    assert network.branches["dermoscopy"].training and network.training
    network.freeze("fusion")  # replaces what was frozen before
    assert all(module.training for module in branch.modules())
    network.freeze()
    assert all(p.requires_grad for p in network.parameters())
    assert train_a_step(network) == EVERYTHING


def test_frozen_statistics_normalise_training_batches_as_evaluation_does():
    network = perturb(build()).eval()
    with torch.no_grad():
        expected = network(*pair(), auxiliary=False)
        network.freeze("statistics")
        answer = network.train()(*pair())
    torch.testing.assert_close(answer, expected)
    assert train_a_step(network) == EVERYTHING  # all weights learn
    statistics = {name: value for name, value in network.state_dict().items() if "running_" in name}
    before = {name: value.clone() for name, value in statistics.items()}
    train_a_step(network)
    assert before and all(torch.equal(value, before[name]) for name, value in statistics.items())


def test_fresh_heads_are_trained_whole_also_where_heads_were_frozen():
    network = perturb(build())
    network.freeze("heads", "clinical")
    network.reset_heads(TASKS)
    assert train_a_step(network) == EVERYTHING - FROZEN["clinical"]  # the norms and the stand-ins learn too


def test_freezing_what_is_not_there():
    with pytest.raises(
        ConfigError, match="cannot freeze clinic; this network has clinical, dermoscopy, fusion, heads, statistics"
    ):
        build().freeze("clinic")
    with pytest.raises(ConfigError, match="cannot freeze clinical"):
        build(clinical=None).freeze("clinical")
    with pytest.raises(
        ConfigError, match="cannot freeze .'clinical', 'fusion'.; this network has"
    ):  # a list in place of two names
        build().freeze(["clinical", "fusion"])


# ---------------------------------------------------------- optimiser groups


@pytest.mark.parametrize("frozen", [(), ("clinical",), ("heads", "fusion")])
@pytest.mark.parametrize("layer_decay", [1.0, 0.7])
def test_every_trainable_parameter_is_in_one_group(frozen, layer_decay):
    network = build(auxiliary_heads=True)
    network.freeze(*frozen)
    listed = [p for group in network.param_groups(1e-3, layer_decay=layer_decay) for p in group["params"]]
    trainable = [p for p in network.parameters() if p.requires_grad]
    assert len(listed) == len(set(listed)) and set(listed) == set(trainable)


def settings_by_name(network, **options) -> dict[str, tuple[float, float]]:
    found = {p: (g["lr"], g["weight_decay"]) for g in network.param_groups(1e-3, **options) for p in g["params"]}
    return {name: found[p] for name, p in network.named_parameters()}


def test_biases_and_norms_do_not_decay():
    network = build()
    for name, (rate, decay) in settings_by_name(network, weight_decay=0.05).items():
        assert rate == 1e-3
        assert decay == (0.05 if dict(network.named_parameters())[name].ndim > 1 else 0.0), name
    swin = settings_by_name(build("amf_swin"), weight_decay=0.05)
    tables = [name for name in swin if "relative_position_bias_table" in name]
    assert tables and all(swin[name][1] == 0 for name in tables)  # timm's own exception


def test_layer_decay_slows_layers_towards_the_input():
    rates = {name: rate for name, (rate, _) in settings_by_name(build(), layer_decay=0.5).items()}
    body = "branches.dermoscopy.body."
    path = ["conv1.0", "layer1.0.conv1", "layer2.0.conv1", "layer3.0.conv1", "layer4.0.conv1"]
    ordered = [rates[f"{body}{layer}.weight"] for layer in path]
    assert ordered == sorted(ordered) and len(set(ordered)) == len(ordered)
    # the deepest layers have the rate of the heads, or at most one step less
    assert 0.5e-3 <= ordered[-1] <= 1e-3
    rest = {rate for name, rate in rates.items() if not name.startswith("branches.")}
    assert rest == {1e-3}


def test_the_fusion_block_has_a_rate_of_its_own():
    rates = {name: rate for name, (rate, _) in settings_by_name(build(), fusion_lr=0.1).items()}
    fusion = [rate for name, rate in rates.items() if name.startswith("fusion.")]
    assert fusion and fusion == pytest.approx([1e-4] * len(fusion))
    assert {rate for name, rate in rates.items() if not name.startswith("fusion.")} == {1e-3}


def test_groups_make_an_optimiser():
    network = build()
    optimiser = torch.optim.AdamW(network.param_groups(1e-2, weight_decay=0.1, layer_decay=0.8))
    first = loss(network(*pair(4)))
    first.backward()
    optimiser.step()
    assert loss(network(*pair(4))) < first


def test_the_first_step_of_a_new_head_moves_no_logit_far():
    """Adam moves every weight by the rate, so with 3072 features of unit size a logit would move by more than two."""
    torch.manual_seed(0)
    features = PooledNorm([1024, 2048])([torch.randn(1, width, 2, 2) for width in (1024, 2048)])
    heads = make_heads(3072, TASKS)
    optimiser = torch.optim.Adam(heads.parameters(), lr=1e-3)
    before = {task: head(features) for task, head in heads.items()}
    loss(before).backward()
    optimiser.step()
    moved = torch.cat([(head(features) - before[task]).flatten() for task, head in heads.items()])
    assert 0.1 < moved.abs().min() and moved.abs().max() < 1  # they do move


# --------------------------------------------------------------------- heads


def test_reset_heads():
    network = build(temperatures={"diagnosis": 2.0}, auxiliary_heads=True).eval()
    with torch.no_grad():
        features = network.forward_features(*pair(2))
    network.reset_heads(TASKS)
    assert network.tasks == network.config.tasks == TASKS and network.config.temperatures == {}
    with torch.no_grad():
        logits = network(*pair(2), auxiliary=True)
        assert torch.equal(network.forward_features(*pair(2)), features)
    expected = {f"{where}{task}" for where in ("", "clinical/", "dermoscopy/") for task in TASKS}
    assert set(logits) == expected and all(x.shape == (2, 3) for x in logits.values())


def test_reset_heads_takes_schemas_and_keeps_the_type():
    network = build(auxiliary_heads=True).bfloat16()
    network.reset_heads("derm7pt")
    assert len(network.tasks) == 8 and len(network.get_classifier()) == 8
    assert {p.dtype for p in network.parameters()} == {torch.bfloat16}


@pytest.mark.parametrize(
    "tasks", [{}, {"a.b": ("x", "y")}, {"grade": ("x",)}, {"keys": ("x", "y")}, {"type": ("x", "y")}]
)
def test_bad_tasks_leave_the_network_as_it_was(tasks):
    network = build()
    heads, config = network.heads, network.config
    with pytest.raises(ConfigError):
        network.reset_heads(tasks)
    assert network.heads is heads and network.config == config


def test_drop_fusion_lets_some_lesions_pass_the_fusion_in_training_only():
    network = perturb(build()).eval()
    images, present = pair(32), torch.ones(32, 2, dtype=torch.bool)
    with torch.no_grad():
        fused = network.forward_features(*images)
        network.drop_fusion = 0.25
        assert torch.equal(network.forward_features(*images), fused)
        plain = build(fusion="none").eval()
        plain.load_state_dict({name: value for name, value in network.state_dict().items() if "fusion" not in name})
        unfused = plain.forward_features(*images)
        network.training = True  # the network's own switch alone: its layers stay as they are
        torch.manual_seed(0)
        mixed = network.forward_features(*images, present)
    is_fused = torch.isclose(mixed, fused, atol=1e-5).all(1)
    is_plain = torch.isclose(mixed, unfused, atol=1e-5).all(1)
    assert (is_fused ^ is_plain).all() and 2 < is_plain.sum() < 16


def test_dropout_acts_in_training_only():
    network = build(dropout=0.5)
    features = torch.ones(64, network.num_features)
    torch.manual_seed(0)
    kept = network.train().forward_head(features, pre_logits=True)
    assert set(kept.unique().tolist()) == {0.0, 2.0} and 0.4 < (kept == 0).float().mean() < 0.6
    assert torch.equal(network.eval().forward_head(features, pre_logits=True), features)
    network = build(dropout=0.9, auxiliary_heads=True).train()
    seen = []
    network.auxiliary["clinical"]["heads"]["diagnosis"].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    network(*pair(4), auxiliary=True)
    assert 0.8 < (seen[0] == 0).float().mean() < 1  # the heads of one image too


# ----------------------------------------------------------- auxiliary heads


def test_auxiliary_logits_see_one_image():
    network = settle(perturb(build("symmetric_test", auxiliary_heads=True, tasks=TASKS)))
    images = dict(zip(("clinical", "dermoscopy"), pair(2)))
    with torch.no_grad():
        before = network(**images, auxiliary=True)
        for changed in images:
            after = network(**{**images, changed: -images[changed]}, auxiliary=True)
            same = {key for key in before if torch.equal(before[key], after[key])}
            other = {"clinical": "dermoscopy", "dermoscopy": "clinical"}[changed]
            assert same == {f"{other}/{task}" for task in TASKS}


def test_auxiliary_heads_are_extra():
    plain, network = build().eval(), build(auxiliary_heads=True).eval()
    unknown = network.load_state_dict(plain.state_dict(), strict=False)
    assert unknown.unexpected_keys == [] and all(key.startswith("auxiliary.") for key in unknown.missing_keys)
    with torch.no_grad():
        expected = plain(*pair(2))["diagnosis"]
        assert torch.equal(network(*pair(2))["diagnosis"], expected)
        assert list(network(*pair(2))) == ["diagnosis"]
        network.remove_auxiliary_heads()
        assert torch.equal(network(*pair(2))["diagnosis"], expected)
    assert network.state_dict().keys() == plain.state_dict().keys()
    assert network.config == plain.config
    with pytest.raises(ConfigError, match="auxiliary_heads=True"):
        network(*pair(2), auxiliary=True)


# ------------------------------------------------- statistics of absent images


def running_means(network, branch: str) -> torch.Tensor:
    state = network.branches[branch].state_dict()
    return torch.cat([value for key, value in state.items() if key.endswith("running_mean")])


@pytest.mark.parametrize("branch", ["clinical", "dermoscopy"])
def test_absent_rows_do_not_enter_batch_statistics(branch):
    """A batch whose other rows lack an image leaves the running mean that its one image alone leaves."""
    column = ("clinical", "dermoscopy").index(branch)
    alone, batch = build(), build()
    images = pair(3)
    present = torch.ones(3, 2, dtype=torch.bool)
    present[[0, 2], column] = False
    alone.train()(*(image[1:2].repeat(2, 1, 1, 1) for image in images))
    batch.train()(*images, present)
    expected, found = running_means(alone, branch), running_means(batch, branch)
    assert expected.norm() > 0.01  # they start at zero
    assert (found - expected).norm() < 1e-3 * expected.norm()


def test_heads_that_are_reset_in_the_callers_modes_can_be_trained():
    network = build(auxiliary_heads=True)
    with torch.inference_mode(), torch.device("meta"):  # as set_default_device
        network.reset_heads({"a": ["x", "y"]})
    weights = [*network.heads.parameters(), *network.auxiliary.parameters()]
    assert all(weight.device.type == "cpu" and not weight.is_inference() for weight in weights)
