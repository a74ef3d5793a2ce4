"""`create_model`: by name, with and without weights."""

from __future__ import annotations

import json
import logging
import socket

import pytest
import torch
from networks import TASKS, build, pair, perturb, settle

from amfzoo import ConfigError, PairNetwork, UnknownModelError, WeightsError, create_model
from amfzoo.data import example_pair


@pytest.fixture
def released(list_weights):
    """A network listed as amf_test.one, which is the default; amf_test.two is another."""
    first, second = (settle(perturb(build(seed=seed, tasks=TASKS, temperatures={"streaks": 2.0}))) for seed in (0, 1))
    list_weights({"amf_test.one": first, "amf_test.two": second}, default={"amf_test": "one"})
    return first, second


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def same(network, other) -> bool:
    with torch.no_grad():
        logits, expected = network(*pair(2)), other(*pair(2))
    # not bit for bit: matrix products may add up in another order where a tensor lies elsewhere in memory
    return logits.keys() == expected.keys() and all(
        torch.allclose(logits[task], expected[task], rtol=0, atol=1e-5) for task in expected
    )


# ------------------------------------------------------------ without weights


def test_untrained_network_reads_nothing(released, no_network, monkeypatch):
    monkeypatch.setattr("amfzoo.models.loading.read_folder", None)  # not even the weights that are at hand
    network = create_model("amf_test", pretrained=False)
    assert isinstance(network, PairNetwork) and network.training
    assert network.config == create_model("amf_test").config  # the default for a bare name
    torch.manual_seed(5)
    first = create_model("amf_test").eval()
    torch.manual_seed(5)
    assert same(create_model("amf_test").eval(), first) and not same(create_model("amf_test").eval(), first)


def test_settings_reach_the_network():
    network = create_model("amf_test", tasks=TASKS, dropout=0.25, fusion="mutual", attention_dim=16)
    config = network.config
    assert (network.tasks, config.dropout, config.fusion, config.attention_dim) == (TASKS, 0.25, "mutual", 16)
    assert config.architecture == "amf_test"
    assert create_model("amf_test", tasks="derm7pt").tasks["streaks"] == ("absent", "regular", "irregular")


def test_unknown_setting_lists_the_known():
    with pytest.raises(ConfigError, match="unknown setting droput; known: .*dropout"):
        create_model("amf_test", droput=0.1)


def test_device():
    network = create_model("amf_test", device="meta")
    assert {p.device.type for p in network.parameters()} == {"meta"}


def test_a_name_of_weights_contradicts_pretrained_false(released):
    with pytest.raises(ConfigError, match="'amf_test.one' names weights"):
        create_model("amf_test.one", pretrained=False)


# --------------------------------------------------------------- with weights


def test_default_and_tagged_names(released, no_network):
    first, second = released
    for name, expected in (("amf_test", first), ("amf_test.one", first), ("amf_test.two", second)):
        network = create_model(name, pretrained=True)
        assert same(network, expected) and network.config == expected.config and not network.training
    assert same(create_model("amf_test.two"), second)  # such a name asks for weights by itself
    assert not same(first, second)


def test_no_weights_is_an_error_never_a_random_network(released):
    with pytest.raises(UnknownModelError, match="amf_small"):
        create_model("amf_small", pretrained=True)
    with pytest.raises(UnknownModelError, match="tags are: one, two"):
        create_model("amf_test.three")


def test_empty_manifest(list_weights):
    list_weights({})
    with pytest.raises(UnknownModelError, match="pretrained=False"):
        create_model("amf_test", pretrained=True)


def test_folders(released, no_network, tmp_path, monkeypatch):
    folder = released[1].save_pretrained(tmp_path / "elsewhere")
    for source in (folder, f"local-dir:{folder}"):
        assert same(create_model(source), released[1])
    assert same(PairNetwork.from_pretrained(folder), released[1])
    assert same(PairNetwork.from_pretrained(str(folder)), released[1])
    monkeypatch.chdir(tmp_path)
    assert same(create_model("local-dir:elsewhere"), released[1])
    with pytest.raises(UnknownModelError, match="'local-dir:./elsewhere'$"):
        create_model("./elsewhere")
    for name in ("clinic/model", "clinic/model.v2"):  # a path or a repository must say which it is
        with pytest.raises(UnknownModelError, match=f"'local-dir:{name}'.*'hf-hub:{name}'"):
            create_model(name)
    with pytest.raises(WeightsError, match="nowhere does not exist"):
        create_model("local-dir:nowhere")


def test_a_config_that_cannot_be_used_is_named_with_its_folder(released, tmp_path):
    folder = released[1].save_pretrained(tmp_path / "edited")
    file = folder / "config.json"
    good = json.loads(file.read_text())
    for bad, words in (({"later": 1}, "unknown keys: later.*edited"), ({"tasks": {"diagnosis": ["NV"]}}, "diagnosis")):
        file.write_text(json.dumps({**good, **bad}))
        with pytest.raises(ConfigError, match=f"{folder}.*{words}"):
            create_model(f"local-dir:{folder}")


def test_a_folder_of_the_name_is_not_taken_for_the_weights(released, tmp_path, monkeypatch):
    other = build(seed=7, tasks={"diagnosis": ("benign", "evil")})
    monkeypatch.chdir(tmp_path)
    for name in ("amf_test", "amf_test.two", "amf_test.three"):
        other.save_pretrained(name)
    assert create_model("amf_test", True).tasks == PairNetwork.from_pretrained("amf_test").tasks == TASKS
    assert same(create_model("amf_test.two"), released[1])
    with pytest.raises(UnknownModelError, match="tags are: one, two"):
        create_model("amf_test.three")
    assert PairNetwork.from_pretrained("amf_test.three").tasks == other.tasks  # which says that it takes bare folders


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None,), "named by a string"),
        (("amf_test", "two"), "'amf_test.two'"),
        (("amf_test", False, "toaster"), "'toaster' cannot be used"),
    ],
)
def test_mistaken_arguments(released, arguments, message):
    name, pretrained, device = (*arguments, None, None)[:3]
    with pytest.raises(ConfigError, match=message):
        create_model(name, pretrained, device=device)


def test_altered_weights_are_refused(released, tmp_path):
    file = tmp_path / "weights" / "amf_test.one" / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(WeightsError, match="sha256"):
        create_model("amf_test", pretrained=True)


def test_settings_that_do_not_fit_the_weights(released):
    with pytest.raises(WeightsError, match="do not fit.*fusion"):
        create_model("amf_test.one", fusion="none")
    with pytest.raises(WeightsError, match="do not fit"):
        create_model("amf_test.one", dermoscopy="test_convnext")
    with pytest.raises(ConfigError, match="unknown setting colour"):
        create_model("amf_test.one", colour="red")
    with pytest.raises(ConfigError, match="unknown setting colour"):  # before the Hub is asked
        create_model("hf-hub:nobody/nothing", colour="red")
    changed = create_model("amf_test.one", dropout=0.5)
    assert changed.config.dropout == 0.5 and same(changed, released[0])


def test_fresh_auxiliary_heads_on_weights(released):
    network = create_model("amf_test.one", auxiliary_heads=True)
    assert same(network, released[0])
    assert "clinical/streaks" in network(*pair(2), auxiliary=True)


# ---------------------------------------------------------------- other tasks


def test_other_tasks_keep_what_is_the_same(released, caplog):
    tasks = {"streaks": TASKS["streaks"], "diagnosis": ("benign", "malignant"), "age": ("young", "old")}
    with caplog.at_level(logging.INFO, logger="amfzoo"):
        network = create_model("amf_test.one", tasks=tasks)
    with torch.no_grad():
        logits, expected = network(*pair(2)), released[0](*pair(2))
    assert list(logits) == list(tasks) and network.tasks == tasks
    assert torch.equal(logits["streaks"], expected["streaks"])
    assert logits["diagnosis"].shape == logits["age"].shape == (2, 2)
    assert network.config.temperatures == {"streaks": 2.0}
    (record,) = [record for record in caplog.records if record.name == "amfzoo"]
    assert record.levelno >= logging.WARNING
    message = record.getMessage()
    assert "new and untrained heads: diagnosis, age" in message and "that were dropped: diagnosis" in message


def test_classes_that_the_weights_know_start_from_their_values(released, caplog):
    """In whatever case; the head is new all the same, for the others in it are."""
    known = dict(zip(TASKS["diagnosis"], range(3)))
    with caplog.at_level(logging.INFO, logger="amfzoo"):
        network = create_model("amf_test.one", tasks={"diagnosis": ("bcc", "other", "NV")})
    old, new = released[0].heads["diagnosis"], network.heads["diagnosis"]
    for place, name in ((0, "BCC"), (2, "NV")):
        assert torch.equal(new.weight[place], old.weight[known[name]])
        assert torch.equal(new.bias[place], old.bias[known[name]])
    assert new.weight[1].norm() > 0 and new.bias[1] == 0 and set(network.untrained) == {"diagnosis"}
    assert "of diagnosis the classes that the weights know start from their values" in caplog.text


def test_classes_in_another_order_are_the_same_task(released, tmp_path):
    reordered = {"streaks": TASKS["streaks"][::-1]}
    network = create_model("amf_test.one", tasks=reordered)
    with torch.no_grad():
        assert torch.allclose(network(*pair(2))["streaks"].flip(1), released[0](*pair(2))["streaks"], atol=1e-6)
    assert network.tasks == reordered and network.config.temperatures == {"streaks": 2.0} and not network.untrained


def test_prediction_sets_go_with_the_order_of_the_classes(tmp_path):
    pretrained, (clinical, dermoscopy) = create_model("amf_small", True), example_pair()
    classes = pretrained.tasks["diagnosis"][::-1]
    folder = create_model("amf_small", True, tasks={"diagnosis": classes}).save_pretrained(tmp_path / "reversed")
    for network in (create_model("amf_small", True, tasks={"diagnosis": classes}), create_model(folder)):
        found, expected = network.predict(clinical, dermoscopy), pretrained.predict(clinical, dermoscopy)
        assert found.diagnosis == pytest.approx(expected.diagnosis, abs=1e-6) and list(found.diagnosis) == list(classes)
        assert found.sets["diagnosis"] == expected.sets["diagnosis"]


def test_a_task_with_more_classes_starts_from_those_that_are_known(released):
    classes = ("new", *TASKS["streaks"])
    network = create_model("amf_test.one", tasks={"streaks": classes})
    with torch.no_grad():
        logits, expected = network(*pair(2))["streaks"], released[0](*pair(2))["streaks"]
    assert torch.allclose(logits[:, 1:], expected, atol=1e-6) and network.heads["streaks"].weight[0].abs().sum() > 0
    assert network.untrained == ("streaks",) and network.config.temperatures == {}


def test_same_tasks_change_and_report_nothing(released, caplog):
    with caplog.at_level(logging.INFO, logger="amfzoo"):
        network = create_model("amf_test.one", tasks=TASKS)
    assert same(network, released[0]) and network.config == released[0].config
    assert [record for record in caplog.records if record.name == "amfzoo"] == []


def test_new_heads_can_be_saved_and_loaded(released, tmp_path):
    network = create_model("amf_test.one", tasks={"grade": ("low", "high")})
    again = create_model(network.save_pretrained(tmp_path / "mine"))
    assert again.tasks == {"grade": ("low", "high")} and same(again, network)


def test_other_heads_give_up_the_name_and_the_figures(tmp_path):
    network = create_model("amf_small", True, tasks={"diagnosis": ("a", "b")})
    assert set(network.config.info) <= {"license", "attribution"}
    card = (network.save_pretrained(tmp_path / "m") / "README.md").read_text()
    assert "CC-BY-NC-4.0" in card.upper() and "macro_f1" not in card and "amf_small.open" not in card


def described(tmp_path, **config):
    """A saved network with a name and figures."""
    network = build("amf_test", tasks=TASKS, **config)
    metric = {"task": "streaks", "name": "macro_f1", "value": 0.5, "data": "ours", "cases": 9}
    info = {"name": "ours.one", "license": "MIT", "metrics": [metric]}
    network.config = network.config.replace(info=info)
    return network.save_pretrained(tmp_path / "described"), info


def test_half_precision_halves_the_file(tmp_path):
    network = create_model("amf_small")
    sizes = [network.save_pretrained(tmp_path / str(half), half=half) / "model.safetensors" for half in (False, True)]
    whole, half = (file.stat().st_size for file in sizes)
    assert half < 0.6 * whole


def test_changed_weights_give_up_the_name_and_the_figures(tmp_path, caplog):
    folder, info = described(tmp_path)
    network = create_model(folder)
    assert network.config.info == info
    same_again = create_model(network.save_pretrained(tmp_path / "same"))
    assert same_again.config.info == info and caplog.text == ""
    network.config = network.config.replace(info={**network.config.info, "note": "mine"})
    with torch.no_grad():
        network.heads["streaks"].bias[0] += 1e-6
    changed = network.save_pretrained(tmp_path / "changed")
    assert create_model(changed).config.info == {"license": "MIT", "note": "mine"} and "no longer" in caplog.text
    assert "0.500" in (folder / "README.md").read_text() and "0.500" not in (changed / "README.md").read_text()


@pytest.mark.parametrize("change", [{"attention_heads": 1}, {"clinical_preprocess": {"size": (64, 64)}}])
def test_another_computation_gives_them_up_as_well_and_dropout_does_not(tmp_path, change):
    folder, info = described(tmp_path)
    network = create_model(folder, **change)
    network.settle_info()
    assert network.config.info == {"license": "MIT"}
    network = create_model(folder, dropout=0.5)
    network.settle_info()
    assert network.config.info == info


def test_the_default_device_of_torch_does_not_matter(released):
    expected = create_model("amf_test.one").state_dict()
    with torch.device("meta"):
        found = create_model("amf_test.one").state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize("pretrained", [True, False])
def test_what_is_made_in_inference_mode_can_be_trained_later(released, pretrained):
    with torch.inference_mode():
        model = create_model("amf_test", pretrained)
    images = torch.randn(2, 2, 3, 64, 64)
    sum(value.sum() for value in model.train()(*images).values()).backward()
    assert any(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in model.parameters())
