"""What a data set advises reaches the network, unless the settings say otherwise."""

from dataclasses import replace

import pytest

from amfzoo.training.prepare import build_model, with_advice


@pytest.mark.parametrize(("setting", "expected"), [(None, 0.05), (0.1, 0.1), (0.0, 0.0)])
def test_an_advised_border_is_cut_off_unless_set(data, config, setting, expected):
    advised = replace(data, hints={"border": 0.05})
    settings = with_advice(replace(config, border=setting), advised)
    network, _ = build_model("amf_test", advised.tasks, settings)
    assert {p.border for p in network.preprocess.values()} == {expected}


def test_without_advice_the_network_keeps_its_border(data, config):
    network, _ = build_model("amf_test", data.tasks, with_advice(config, data))
    assert {p.border for p in network.preprocess.values()} == {0.0}
