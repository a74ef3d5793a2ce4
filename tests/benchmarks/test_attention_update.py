"""The size of what the attention adds is that of its output projection."""

import numpy as np
import pytest
import torch
from PIL import Image

from amfzoo import create_model
from amfzoo.data.records import Lesion, LesionSet
from amfzoo.errors import ConfigError
from benchmarks.attention_update import update_sizes

TASKS = {"diagnosis": ("a", "b")}


@pytest.fixture
def lesions(tmp_path) -> LesionSet:
    random = np.random.default_rng(0)
    found = []
    for name in "ABC":
        paths = [tmp_path / f"{name}{branch}.png" for branch in ("clinical", "dermoscopy")]
        for path in paths:
            Image.fromarray(random.integers(0, 255, (64, 64, 3), np.uint8)).save(path)
        found.append(Lesion(name, clinical=paths[0] if name != "C" else None, dermoscopy=paths[1]))
    return LesionSet("drawn", tuple(found), TASKS)


def test_sizes_follow_the_output_projection(lesions):
    torch.manual_seed(0)
    network = create_model("amf_test", False, tasks=TASKS).eval()
    assert update_sizes(network, lesions, 9) == [0.0, 0.0]  # it starts at zero
    for block in network.fusion.enhance:
        torch.nn.init.normal_(block.to_out.weight)
    once = update_sizes(network, lesions, 9)
    for block in network.fusion.enhance:
        block.to_out.weight.data.mul_(3)
    assert update_sizes(network, lesions, 9) == pytest.approx([3 * size for size in once], rel=1e-4) and min(once) > 0


def test_what_has_no_such_attention_is_refused(lesions):
    with pytest.raises(ConfigError, match="none"):
        update_sizes(create_model("amf_test", False, tasks=TASKS, fusion="none").eval(), lesions, 9)
    alone = lesions.select(lambda lesion: lesion.id == "C")
    with pytest.raises(ConfigError, match="both images"):
        update_sizes(create_model("amf_test", False, tasks=TASKS).eval(), alone, 9)
