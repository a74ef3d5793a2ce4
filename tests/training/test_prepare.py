"""What a data set advises reaches the network, unless the settings say otherwise."""

from dataclasses import replace

import pytest
import torch
from networks import TASKS, build

from amfzoo.errors import ConfigError
from amfzoo.inference.sets import ConformalSets
from amfzoo.training import TrainConfig
from amfzoo.training.prepare import _check_crops, build_model, with_advice


@pytest.mark.parametrize(("setting", "expected"), [(None, 0.05), (0.1, 0.1), (0.0, 0.0)])
def test_an_advised_border_is_cut_off_unless_set(data, config, setting, expected):
    advised = replace(data, hints={"border": 0.05})
    settings = with_advice(replace(config, border=setting), advised)
    network = build_model("amf_test", advised.tasks, settings).network
    assert {p.border for p in network.preprocess.values()} == {expected}


def test_what_was_calibrated_on_other_lesions_is_left_behind(data, config):
    network = build_model("amf_test", data.tasks, config).network
    classes = data.tasks["colour"]
    sets = ConformalSets("lac", 0.9, dict.fromkeys(classes, 0.5), dict.fromkeys(classes, 20))
    network.config = network.config.replace(temperatures={"colour": 2.0}, conformal={"colour": sets})
    again = build_model(network, data.tasks, config).network
    assert not again.config.temperatures and not again.config.conformal


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_a_network_of_another_precision_is_trained_in_fp32(data, config, dtype):
    network = build_model("amf_test", data.tasks, config).network
    again = build_model(network.to(dtype), data.tasks, config).network
    assert {parameter.dtype for parameter in again.parameters()} == {torch.float32}
    assert {parameter.dtype for parameter in network.parameters()} == {dtype}


def test_without_advice_the_network_keeps_its_border(data, config):
    network = build_model("amf_test", data.tasks, with_advice(config, data)).network
    assert {p.border for p in network.preprocess.values()} == {0.0}


def test_what_a_branch_starts_from_keeps_its_licence(tmp_path):
    donor = build(tasks=TASKS)
    donor.config = donor.config.replace(info={"license": "CC-BY-NC-4.0", "attribution": "somebody"})
    folder = donor.save_pretrained(tmp_path / "donor")
    starts = {branch: f"local-dir:{folder}#{branch}" for branch in ("clinical", "dermoscopy")}
    network = build_model("amf_test", TASKS, TrainConfig(), backbone_weights=starts).network
    assert network.config.info == {"license": "CC-BY-NC-4.0", "attribution": "somebody"}


HALF = {"mean": (0.5, 0.5, 0.5), "std": (0.4, 0.5, 0.6)}


@pytest.mark.parametrize("weights", ["timm", {"dermoscopy": "timm"}])
def test_images_are_normalised_as_timms_weights_of_a_branch_need(weights, monkeypatch, caplog):
    import timm

    real = timm.create_model

    def create(name, pretrained=False, **settings):
        body = real(name, **settings)
        if pretrained and name == "test_resnet":
            body.pretrained_cfg = {**body.pretrained_cfg, **{key: list(value) for key, value in HALF.items()}}
        return body

    own = build().preprocess
    monkeypatch.setattr(timm, "create_model", create)
    settings = TrainConfig(image_size=96)
    begun = build_model("amf_test", TASKS, settings, backbone_weights=weights)
    found, size = begun.network.preprocess, (96, 96)
    assert found["dermoscopy"] == replace(own["dermoscopy"], size=size, **HALF)
    assert found["clinical"] == replace(own["clinical"], size=size)
    assert not begun.learned and "dermoscopy backbone from timm" in begun.start
    (line,) = [record.getMessage() for record in caplog.records if "normalised" in record.getMessage()]
    assert line.startswith("dermoscopy backbone from timm") and "(0.5, 0.5, 0.5) and std (0.4, 0.5, 0.6)" in line


def test_images_are_normalised_as_for_the_branch_of_the_pair_network_that_another_starts_from(tmp_path, caplog):
    donor = build("symmetric_test", tasks=TASKS, dermoscopy_preprocess={**HALF, "border": 0.1})
    folder = donor.save_pretrained(tmp_path / "donor")
    starts = {"clinical": f"local-dir:{folder}#dermoscopy", "dermoscopy": f"local-dir:{folder}#clinical"}
    begun = build_model("symmetric_test", TASKS, TrainConfig(), backbone_weights=starts)
    own = build("symmetric_test").preprocess
    assert begun.network.preprocess == {
        **own,
        "clinical": replace(own["clinical"], **HALF),
    }  # its border is not the weights'
    lines = [record.getMessage() for record in caplog.records if "normalised" in record.getMessage()]
    assert len(lines) == 1 and lines[0].startswith("clinical backbone from local-dir:")
    described = (
        "clinical backbone from the weights in donor#dermoscopy, dermoscopy backbone from the weights in donor#clinical"
    )
    assert begun.start == f"symmetric_test with random weights, {described}"  # cards say it: no folders of the user's


def test_a_file_of_weights_leaves_the_images_of_its_branch_as_they_are(tmp_path, caplog):
    from safetensors.torch import save_file

    body = build().branches["dermoscopy"].body
    save_file(body.state_dict(), tmp_path / "resnet.safetensors")
    given = build("amf_test", tasks=TASKS, dermoscopy_preprocess=HALF)
    starts = {"dermoscopy": tmp_path / "resnet.safetensors"}
    begun = build_model(given, TASKS, TrainConfig(), backbone_weights=starts)
    assert begun.start == "the given network, dermoscopy backbone from resnet.safetensors"
    assert begun.network.preprocess == given.preprocess and "normalised" not in caplog.text


@pytest.mark.parametrize(
    "settings, advice",
    [
        ({"crop_start": 0.5}, "set crop_start and crop_end to 1 and leave image_size out"),
        ({"crop_start": 1.0}, r"dermoscopy_preprocess=\{\"size\": \[32, 32\]\}.* \(--network 'SETTING=VALUE'\)"),
    ],
)
def test_a_backbone_of_one_size_is_advised_what_has_not_been_done_yet(settings, advice):
    network = build(
        dermoscopy="vit_tiny_patch16_224", dermoscopy_args={"img_size": 32, "depth": 1}, dermoscopy_strides=(16,), clinical_strides=(16,)
    )  # fmt: skip
    with pytest.raises(ConfigError, match=f"does not take training crops.*{advice}"):
        _check_crops(network, TrainConfig(crop_end=1.0, **settings))
