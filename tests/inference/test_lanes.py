"""Many pairs on a CPU: several threads that prepare and compute, each with its share of the cores."""

from __future__ import annotations

import copy
import threading

import pytest
import torch
from predictor_case import close, picture, pictures, trained

from amfzoo import AmfzooError, ImageError, predict_stream
from amfzoo.inference.lanes import lanes_of
from amfzoo.inference.torch_logits import torch_logits


@pytest.fixture(scope="module")
def model():
    return trained()


@pytest.fixture(autouse=True)
def four_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


class Laned:
    """A network that notes in which thread, with how many threads of torch, how many pairs are computed."""

    def __init__(self, network):
        self.network, self.asked, self.steps = network, [], []
        self.config, self.tasks, self.preprocess = network.config, network.tasks, network.preprocess

    def lanes(self, count, threads, pairs):
        self.asked.append((count, threads, pairs))
        return self._logits

    def logits(self, batch):
        return torch_logits(self.network, batch)

    def _logits(self, batch):
        self.steps.append((threading.current_thread().name, torch.get_num_threads(), len(batch.present)))
        return self.logits(batch)


def some_pairs(count: int = 11) -> list[tuple]:
    pairs = list(zip(pictures(count), pictures(count, first=20)))
    pairs[2], pairs[5] = (None, pairs[2][1]), (pairs[5][0], None)
    return pairs


@pytest.mark.parametrize(
    "batch_size, workers, asked",
    [(4, 2, (2, 2, 2)), (5, 2, (2, 2, 2)), (4, 4, (4, 1, 1)), (5, 3, (2, 2, 2))],  # three lanes would leave a core idle
)
def test_lanes_answer_as_the_network_does(model, batch_size, workers, asked):
    pairs = some_pairs()
    expected = [model.predict(*images) for images in pairs]
    assert not close(expected[0], expected[1])  # the pairs do differ
    laned = Laned(model)
    found = list(predict_stream(laned, pairs, batch_size=batch_size, workers=workers))
    assert len(found) == len(pairs) and all(map(close, found, expected))
    count, threads, share = asked
    assert laned.asked == [asked] and sum(pairs for *_, pairs in laned.steps) == len(pairs)
    assert {of for _, of, _ in laned.steps} == {threads} and {pairs for *_, pairs in laned.steps} <= {share, 11 % share}
    assert threading.current_thread().name not in {name for name, *_ in laned.steps}
    assert all(map(close, predict_stream(model, pairs, batch_size=batch_size, workers=workers), expected))


@pytest.mark.parametrize(("threads", "lanes"), [(2, (2, 1)), (6, (6, 1)), (12, (6, 2)), (15, (5, 3)), (16, (8, 2))])
def test_no_thread_is_left_out_where_that_can_be(model, monkeypatch, threads, lanes):
    monkeypatch.setattr("os.cpu_count", lambda: threads)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert lanes_of(model, 64, None)[:2] == lanes


def test_errors_keep_their_place(model):
    pairs = some_pairs()
    expected = list(predict_stream(model, pairs))
    pairs[1], pairs[8] = (b"not an image", pairs[1][1]), (None, None)
    laned = Laned(model)
    found = list(predict_stream(laned, pairs, batch_size=2, workers=2, errors="return"))
    assert laned.steps and [isinstance(answer, AmfzooError) for answer in found] == [i in (1, 8) for i in range(11)]
    assert all(close(found[i], expected[i]) for i in range(11) if i not in (1, 8))
    answers = predict_stream(laned, pairs, batch_size=2, workers=2)
    assert close(next(answers), expected[0])
    with pytest.raises(ImageError, match=r"pair 1 \(counted from 0\)"):
        next(answers)


def test_steps_without_a_good_pair_ask_the_network_nothing(model):
    laned = Laned(model)
    found = list(predict_stream(laned, [(None, None)] * 8, batch_size=4, workers=2, errors="return"))
    assert [type(answer).__name__ for answer in found] == ["PredictionError"] * 8 and laned.asked and not laned.steps


def workers_alive() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("ThreadPoolExecutor")}


@pytest.mark.parametrize("end", ["list", "close", "forget", "error"])
def test_the_process_is_left_as_it_was(model, end):
    before = workers_alive()
    pairs = some_pairs() + [(None, None)] * (end == "error")
    answers = predict_stream(Laned(model), pairs, batch_size=2, workers=2)
    next(answers)
    assert workers_alive() - before
    if end == "close":
        answers.close()
    elif end == "forget":
        del answers
    elif end == "list":
        list(answers)
    else:
        with pytest.raises(AmfzooError, match="pair 11"):
            list(answers)
    assert workers_alive() == before
    found = [torch.get_num_threads()]
    new = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    new.start()
    new.join()
    assert found == [4, 4]


@pytest.mark.slow
def test_what_goes_without_lanes(model):
    assert lanes_of(model, 16, None) is not None
    assert lanes_of(model, 16, 1) is None  # one lane
    assert lanes_of(model, 1, 2) is None  # fewer pairs than lanes
    assert lanes_of(model, 16, 5) is None  # more workers than can compute: they decode alone
    with torch.autocast("cpu", torch.bfloat16):  # of this thread alone
        assert lanes_of(model, 16, None) is None
    hook = model.register_forward_hook(lambda *given: None)  # expects one call after the other
    assert lanes_of(model, 16, None) is None
    hook.remove()
    model.train()  # somebody may be training it between two answers
    assert lanes_of(model, 16, None) is None
    model.eval()
    compiled = copy.deepcopy(model)
    compiled.compile()
    assert lanes_of(compiled, 16, None) is None
    assert lanes_of(model, 16, None) is not None
    few, one, alone = Laned(model), Laned(model), Laned(model)
    alone.lanes = lambda count, threads, pairs: None
    pairs = some_pairs()
    for laned, of, options in (
        (few, pairs[:7], {"batch_size": 4, "workers": 2}),
        (one, pairs, {"batch_size": 2, "workers": 1}),
        (alone, pairs, {"batch_size": 2, "workers": 2}),
    ):
        expected = [model.predict(*images) for images in of]
        assert all(map(close, predict_stream(laned, of, **options), expected)) and not laned.steps
    torch.set_num_threads(1)
    assert lanes_of(model, 16, None) is None


def test_an_error_of_the_network_comes_after_the_answers_before(model):
    class Breaks(Laned):
        def _logits(self, batch):
            if not batch.present[0, 0]:
                raise MemoryError("too much")
            return self.logits(batch)

    pairs = [(picture(n), None) for n in range(9)]
    pairs[6] = (None, picture(6))
    answers = predict_stream(Breaks(model), pairs, batch_size=2, workers=2)
    assert len([next(answers) for _ in range(6)]) == 6
    with pytest.raises(MemoryError, match="too much"):
        next(answers)
