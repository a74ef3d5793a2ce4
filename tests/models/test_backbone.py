"""Feature maps of timm networks, against timm's own features."""

from __future__ import annotations

import pytest
import timm
import torch
from networks import build

from amfzoo import ConfigError
from amfzoo.models.backbone import Backbone, load_backbone_weights

SWIN = {
    "embed_dim": 16, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 2, 2], "window_size": 2, "img_size": 64,
}  # fmt: skip
CUT = {"layers": [1, 1, 1], "channels": [16, 32, 64]}  # a ResNetV2 whose last stage is at stride 16

# name, arguments, strides, widths of the maps as timm documents them
WHOLE = [
    ("test_resnet", {}, (16, 32), (192, 96)),
    ("test_efficientnet", {}, (16, 32), (48, 256)),
    ("test_convnext", {}, (8, 16, 32), (32, 48, 64)),
    ("test_byobnet", {}, (16, 32), (128, 256)),
    ("test_nfnet", {}, (32,), (192,)),
    ("test_mambaout", {}, (16, 32), (48, 64)),  # NHWC inside
    ("swin_tiny_patch4_window7_224", SWIN, (16, 32), (64, 128)),  # NHWC inside
    ("swinv2_tiny_window8_256", SWIN, (16, 32), (64, 128)),
    ("mobilenetv2_035", {"pad_type": "same", "bn_eps": 1e-3}, (16, 32), (32, 1280)),
    ("mobilenetv3_small_100", {}, (16, 32), (48, 576)),
    ("resnetv2_50", CUT, (16,), (64,)),
    # what follows their last stage is head to timm's features
    ("ghostnet_050", {}, (16, 32), (40, 480)),
    ("repghostnet_050", {}, (16, 32), (40, 480)),
    ("fastvit_t8", {"layers": [1, 1, 1, 1], "embed_dims": [16, 16, 32, 32]}, (16, 32), (32, 64)),
    ("rexnet_100", {"width_mult": 0.25}, (16, 32), (44, 320)),
    ("regnetz_005", {}, (16, 32), (104, 1024)),
]


def tuples(args: dict) -> dict:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in args.items()}


def bare(name: str, args: dict) -> torch.nn.Module:
    """timm's network without classifier, with statistics that are not those of a fresh one."""
    torch.manual_seed(0)
    network = timm.create_model(name, pretrained=False, num_classes=0, **tuples(args))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network.eval()


def image(side: int = 64) -> torch.Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name, args, strides, channels", WHOLE, ids=[row[0] for row in WHOLE])
def test_the_deepest_map_is_that_of_timm(name, args, strides, channels):
    network, backbone = bare(name, args), Backbone(name, strides, args).eval()
    load_backbone_weights(backbone, network.state_dict())
    with torch.no_grad():
        maps, expected = backbone(image()), network.forward_features(image())
    if expected.shape[-1] == channels[-1]:  # NHWC
        expected = expected.permute(0, 3, 1, 2)
    assert torch.equal(maps[-1], expected)
    assert backbone.strides == strides and backbone.channels == channels
    sides = [(width, 64 // stride, 64 // stride) for width, stride in zip(channels, strides)]
    assert [tuple(feature_map.shape[1:]) for feature_map in maps] == sides


@pytest.mark.parametrize("name, args, strides, channels", WHOLE, ids=[row[0] for row in WHOLE])
def test_every_parameter_has_a_part_in_the_maps_and_none_of_the_final_map_is_cut_off(name, args, strides, channels):
    def used(network, maps) -> set[str]:
        sum(one.square().sum() for one in maps).backward()
        return {key for key, parameter in network.named_parameters() if parameter.grad is not None}

    network, backbone = bare(name, args), Backbone(name, strides, args).eval()
    found = used(backbone.body, backbone(image()))
    assert found == {key for key, _ in backbone.body.named_parameters()}
    assert found == used(network, [network.forward_features(image())])


def test_a_cut_network_has_nothing_of_what_follows_its_last_stage():
    backbone = Backbone("ghostnet_050", (8, 16))
    assert backbone.channels == (20, 40) and len(backbone.body.blocks) == 6


@pytest.mark.parametrize("name, prefix", [("test_vit", 1), ("test_vit3", 1)])
def test_tokens_of_a_transformer_become_a_map(name, prefix):
    network, backbone = bare(name, {}), Backbone(name, (16,)).eval()
    load_backbone_weights(backbone, network.state_dict())
    with torch.no_grad():
        (found,), tokens = backbone(image(160)), network.forward_features(image(160))
    assert network.num_prefix_tokens == prefix and tokens.shape[1] == prefix + 100
    assert found.shape == (2, backbone.channels[0], 10, 10)
    for y, x in ((0, 0), (3, 7), (9, 9)):  # row by row, after the class token
        assert torch.equal(found[:, :, y, x], tokens[:, prefix + 10 * y + x])


def test_a_cut_network_ends_in_the_stage_of_the_whole():
    network, backbone = bare("test_resnet", {}), Backbone("test_resnet", (16,)).eval()
    load_backbone_weights(backbone, network.state_dict())
    with torch.no_grad():
        (found,) = backbone(image())
        expected = network.forward_intermediates(image(), intermediates_only=True)[-2]
    assert torch.equal(found, expected)
    assert not any(key.startswith("layer4") for key in backbone.body.state_dict())


def test_deepest_stage_of_a_stride():
    # several stages of MobileNetV2 share a stride: the last of them is the one with most channels
    assert Backbone("mobilenetv2_100", (8, 16)).channels == (32, 96)


def test_arguments_reach_timm():
    body = Backbone("mobilenetv2_035", args={"pad_type": "same", "bn_eps": 1e-3}).body
    plain = Backbone("mobilenetv2_035").body
    assert {m.eps for m in body.modules() if isinstance(m, torch.nn.BatchNorm2d)} == {1e-3}
    assert {m.eps for m in plain.modules() if isinstance(m, torch.nn.BatchNorm2d)} == {1e-5}
    # "same" pads at the right and bottom only, here 64 -> 65
    assert type(body.conv_stem).__name__ == "Conv2dSame" and type(plain.conv_stem).__name__ == "Conv2d"


def test_the_table_builds_mobilenetv2_035_as_its_weights_need():
    network = build("amf_small")
    norms = [m for m in network.branches["clinical"].modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert {m.eps for m in norms} == {1e-3}
    assert network.config.clinical_args == {"pad_type": "same", "bn_eps": 1e-3}
    assert network.preprocess["clinical"].mean == network.preprocess["clinical"].std == (0.5, 0.5, 0.5)
    assert network.preprocess["dermoscopy"].std == (0.229, 0.224, 0.225)
    # the same where the backbone is named by hand, and elsewhere not
    elsewhere = build("amf_test", clinical="mobilenetv2_035", dermoscopy="mobilenetv2_100")
    assert elsewhere.config.clinical_args == network.config.clinical_args and not elsewhere.config.dermoscopy_args


def test_weights_of_the_classifier_are_left_out():
    backbone = Backbone("test_resnet")
    state = timm.create_model("test_resnet", pretrained=False).state_dict()
    assert "fc.weight" in state
    load_backbone_weights(backbone, state)
    assert all(torch.equal(value, state[key]) for key, value in backbone.body.state_dict().items())


def test_half_precision_weights_are_widened():
    backbone = Backbone("test_resnet")
    state = bare("test_resnet", {}).half().state_dict()
    assert state["conv1.0.weight"].dtype == torch.float16
    load_backbone_weights(backbone, state)
    assert {p.dtype for p in backbone.parameters()} == {torch.float32}
    assert torch.equal(backbone.body.conv1[0].weight, state["conv1.0.weight"].float())


@pytest.mark.parametrize("damage", ["missing", "shape"])
def test_weights_that_do_not_fit_are_refused(damage):
    backbone = Backbone("test_resnet")
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    state = bare("test_resnet", {}).state_dict()
    value = state.pop("layer3.0.conv1.weight")
    if damage == "shape":
        state["layer3.0.conv1.weight"] = value[:1]
    with pytest.raises(ConfigError, match="layer3.0.conv1.weight"):
        load_backbone_weights(backbone, state)
    assert all(torch.equal(value, before[key]) for key, value in backbone.state_dict().items())


@pytest.mark.parametrize(
    "name, strides, args, message",
    [
        ("test_resnett", (16, 32), {}, "no backbone 'test_resnett'.*test_resnet"),
        ("test_resnet", (16, 64), {}, "no features at stride 64; it has 2, 4, 8, 16, 32"),
        ("test_vit", (16, 32), {}, "no features at stride 32; it has 16. .*dermoscopy_strides="),
        ("test_resnet", (32, 16), {}, "ascend"),
        ("test_resnet", (16, 16), {}, "ascend"),
        ("test_resnet", (), {}, "at least one"),
        ("test_resnet", (16, 32), {"colour": 1}, "colour"),
        ("inception_next_atto", (16, 32), {}, "inception_next_atto"),  # cannot do without pooling
        ("pit_ti_224", (16,), {}, "'pit_ti_224' ends in class tokens alone"),
    ],
)
def test_impossible_backbones_are_refused(name, strides, args, message):
    with pytest.raises(ConfigError, match=message):
        Backbone(name, strides, args)


def test_a_backbone_whose_last_layers_timm_would_cut_off_is_refused():
    with torch.device("meta"), pytest.raises(ConfigError, match="'mobilenetv5_300m': timm does not describe its last"):
        Backbone("mobilenetv5_300m", args={"channel_multiplier": 0.1})


@pytest.mark.parametrize("name, strides", [("hrnet_w18_small", (16, 32)), ("efficientvim_m1", (32, 64))])
def test_a_backbone_that_ends_in_several_maps_is_refused_unless_it_is_cut(name, strides):
    with torch.device("meta"):
        with pytest.raises(ConfigError, match=f"'{name}' ends in several maps at once.*_strides="):
            Backbone(name, strides)
        Backbone(name, strides[:1])


@pytest.mark.parametrize("name, strides", [("dla34", (16, 32)), ("vgg11_bn", (32,))])
def test_a_backbone_without_gradient_checkpointing_says_so(name, strides):
    with torch.device("meta"):
        backbone = Backbone(name, strides)
    backbone.set_grad_checkpointing(False)
    with pytest.raises(ConfigError, match=f"'{name}' has no gradient checkpointing.*grad_checkpointing to false"):
        backbone.set_grad_checkpointing(True)


REFUSED = ["checkpoint_path", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "cache_dir", "num_classes",
           "features_only", "global_pool", "in_chans"]  # fmt: skip


@pytest.mark.parametrize("key", REFUSED)
def test_a_configuration_cannot_name_files_or_fetch_or_change_what_comes_out(key, tmp_path):
    with pytest.raises(ConfigError, match=f"{key} cannot be set"):
        Backbone("test_resnet", args={key: str(tmp_path / "weights.pth")})


def test_another_backbone_does_not_get_the_arguments_of_the_rows_own():
    from amfzoo.models.zoo import settings

    assert settings("amf_base", {"dermoscopy": "resnetv2_50"})["dermoscopy_args"]["layers"] == [3, 4, 6]
    other = settings("amf_base", {"dermoscopy": "convnext_tiny"})
    assert other["dermoscopy_args"] == {} and other["dermoscopy_strides"] == (32,) == other["clinical_strides"]
    given = settings("amf_base", {"dermoscopy": "resnet18", "dermoscopy_args": {"a": 1}})
    assert given["dermoscopy_args"] == {"a": 1} and given["dermoscopy_strides"] == (32,)


@pytest.mark.parametrize("off_again", [False, True])
def test_checkpointing_counts_a_batch_once_in_the_statistics(off_again):
    def statistics(on: bool) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        backbone = Backbone("test_efficientnet").train()
        backbone.set_grad_checkpointing(on)
        for step in range(2):
            if step and off_again:
                backbone.set_grad_checkpointing(False)
            backbone(torch.randn(2, 3, 64, 64))[-1].sum().backward()
        return {name: values for name, values in backbone.named_buffers() if "running" in name}

    torch.testing.assert_close(statistics(True), statistics(False))
