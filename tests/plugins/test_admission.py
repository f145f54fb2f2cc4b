from __future__ import annotations

from dataclasses import replace

from fake_runners import evaluation_job, trial_job
from hypothesis import assume, given
from hypothesis import strategies as st

from seedbed.core.search.candidate import Candidate
from seedbed.plugins.backends.admission import (
    CONTEXT_BYTES,
    Card,
    Place,
    Rate,
    Share,
    admit,
    admit_whole,
    gains,
    need_of,
    net_of,
    next_width,
)

GB = 10**9
CARD = Card(uuid="a", total_bytes=10 * GB, free_bytes=10 * GB)


def share(need, uuid="a", trial=0):
    return Share(uuid=uuid, trial=trial, need=need)


def test_a_trial_of_unknown_size_begins_alone_and_nothing_begins_beside_it():
    assert admit([CARD], [], None) == Place(uuid="a")
    assert admit([CARD], [share(GB)], None) is None
    assert admit([CARD], [share(None)], GB) is None


def test_trials_are_packed_as_long_as_their_promises_fit():
    found = admit([CARD], [share(4 * GB)], 5 * GB)
    assert found == Place(uuid="a", most_bytes=round(0.98 * 10 * GB) - 4 * GB - CONTEXT_BYTES)
    assert admit([CARD], [share(5 * GB)], 5 * GB) is None


def test_what_others_hold_and_what_is_not_free_now_is_not_given_away():
    assert admit([replace(CARD, foreign_bytes=3 * GB)], [share(4 * GB)], 4 * GB) is None
    assert admit([replace(CARD, free_bytes=3 * GB)], [share(4 * GB)], 4 * GB) is None
    assert admit([replace(CARD, free_bytes=4 * GB)], [share(4 * GB)], 4 * GB) is not None


def test_an_empty_card_comes_first_and_then_the_one_with_the_fewest_trials():
    other = replace(CARD, uuid="b")
    assert admit([CARD, other], [share(GB)], GB).uuid == "b"
    assert admit([CARD, other], [share(GB), share(GB, trial=1), share(4 * GB, uuid="b", trial=2)], GB).uuid == "b"
    assert admit([CARD, replace(other, slots=0)], [], GB).uuid == "a"
    assert admit([replace(CARD, slots=0)], [], GB) is None


def test_on_a_card_that_does_not_tell_its_size_trials_run_one_at_a_time():
    silent = replace(CARD, total_bytes=0, free_bytes=0)
    assert admit([silent], [], GB) == Place(uuid="a")
    assert admit([silent], [share(1)], 1) is None


def test_a_trial_over_several_cards_has_each_of_them_to_itself():
    cards = [CARD, replace(CARD, uuid="b", slots=0), replace(CARD, uuid="c")]
    assert admit_whole(cards, [], 2) == ("a", "c")
    assert admit_whole(cards, [], 8) == ("a", "c", "b")
    assert admit_whole(cards, [share(GB)], 2) == ("c", "b")
    assert admit_whole(cards, [share(GB)], 3) is None
    assert admit_whole([replace(each, slots=0) for each in cards], [], 2) is None


bytes_ = st.integers(0, 12 * GB)


@given(
    st.lists(st.builds(Card, uuid=st.sampled_from("abc"), total_bytes=bytes_, free_bytes=bytes_, foreign_bytes=bytes_)),
    st.lists(st.builds(Share, uuid=st.sampled_from("abc"), trial=st.integers(0, 9), need=st.none() | bytes_)),
    st.none() | bytes_,
)
def test_promises_on_a_card_never_exceed_it_unless_a_trial_is_alone(cards, running, need):
    assume(len({each.uuid for each in cards}) == len(cards))
    place = admit(cards, running, need)
    if place is None:
        assert not any(card.slots and not any(each.uuid == card.uuid for each in running) for card in cards)
        return
    shares = [each for each in running if each.uuid == place.uuid]
    if shares:
        card = next(each for each in cards if each.uuid == place.uuid)
        promised = sum(each.need for each in shares) + need
        assert promised + card.foreign_bytes <= card.total_bytes
        assert need <= place.most_bytes + CONTEXT_BYTES
        assert need <= card.free_bytes


def test_what_is_promised_is_more_than_what_was_measured():
    assert need_of(None) is None
    assert need_of(GB) == round(1.15 * GB) + CONTEXT_BYTES


def net(**values):
    job = trial_job(0, "finish")
    return net_of(replace(job, candidate=Candidate({key.replace("__", "."): each for key, each in values.items()})))


def test_memory_is_told_by_net_and_batch_and_not_by_rates():
    one = net(architecture="resnet", architecture__resnet__width=8, batch_size=32, optimizer__sgd__lr=0.1)
    assert one == net(architecture="resnet", architecture__resnet__width=8, batch_size=32, optimizer__sgd__lr=0.3)
    assert one != net(architecture="resnet", architecture__resnet__width=8, batch_size=64, optimizer__sgd__lr=0.1)
    assert one != net(architecture="resnet", architecture__resnet__width=16, batch_size=32, optimizer__sgd__lr=0.1)
    assert net_of(evaluation_job("finish")) is None


def rate(net, width, steps):
    return Rate(net=net, width=width, steps_a_second=steps)


def test_gains_are_those_of_like_nets_alone_and_together():
    found = gains([rate("n", 1.0, 100.0), rate("n", 1.0, 80.0), rate("n", 2.0, 75.0), rate("m", 2.0, 9.0)])
    assert found == {1: 1.0, 2: 1.5}


def test_trials_are_packed_twice_as_densely_until_that_does_no_more_work():
    assert next_width({1: 1.0}, 16) == 2
    assert next_width({1: 1.0, 2: 1.9}, 16) == 4
    assert next_width({1: 1.0, 2: 1.05}, 16) == 1
    assert next_width({1: 1.0, 2: 1.9, 4: 3.4, 8: 3.5}, 16) == 4
    assert next_width({1: 1.0, 2: 1.9, 3: 2.6, 6: 4.0}, 8) == 8
    assert next_width({1: 1.0, 2: 1.9}, 3) == 3
    assert next_width({}, 1) == 1


@given(st.dictionaries(st.integers(2, 16), st.floats(0.1, 20.0)), st.integers(1, 16))
def test_a_width_is_never_more_than_the_most(found, most):
    assert 1 <= next_width({1: 1.0} | found, most) <= most
