"""Which names look the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.protocol import ProtocolError, check_name, same_key
from hubbub.server.access.confusables import ConfusableIndex, skeleton, skeletons_of


def name_or_none(text: str) -> str | None:
    """Return the name that `text` stands for, if it is one."""
    try:
        return check_name(text)
    except ProtocolError:
        return None


names = st.text(st.characters(categories=["L", "M", "Nd"]), min_size=1, max_size=12).map(name_or_none)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("alice", "аlice"),  # Cyrillic а
        ("alice", "АLICE"),  # Cyrillic А, in the other case
        ("Hanna", "ΗΑΝΝΑ"),  # Greek, of which nothing looks alike in small letters
        ("paypal", "раураl"),
        ("Ivan", "lvan"),
        ("BILL", "BlLL"),
        ("bob", "b0b"),
        ("bob", "B0B"),
        ("o0", "ο0"),  # Greek ο
        ("modern", "modem"),  # m, and r beside n
        ("max", "МАХ"),
        ("alice", "Ａlice"),  # full-width
        ("alice", "𝐚𝐥𝐢𝐜𝐞"),
        ("zoë", "zoe\u0308"),
        ("Straße", "STRASSE"),
        ("abc", "abс"),
        ("song", "ѕоng"),
    ],
)
def test_look_alikes_share_a_look(one: str, other: str) -> None:
    """What Unicode calls confusable, in any case."""
    assert skeletons_of(one) & skeletons_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("alice", "alina"), ("ali", "all"), ("ivan", "lvan"), ("жук", "zhuk"), ("zoe", "zoë"), ("a", "b")],
)
def test_what_looks_different_shares_none(one: str, other: str) -> None:
    """Names that people can tell apart are not each other's look-alikes."""
    assert not skeletons_of(one) & skeletons_of(other)


@pytest.mark.parametrize(
    "text", ["al\u200bice", "alice\u200d", "\ufeffalice", "ali\u00adce", "alice\u3164", "al\u2060ice"]
)
def test_what_cannot_be_seen_is_in_no_name(text: str) -> None:
    """So that a name can have no zero-width look-alike."""
    assert name_or_none(text) is None


@given(names.filter(bool))
def test_a_name_looks_like_itself_in_every_spelling(name: str | None) -> None:
    """Two names that are the same share a look."""
    assert name
    assert skeletons_of(name) & skeletons_of(same_key(name))
    assert skeletons_of(name) & skeletons_of(name.swapcase())


@given(st.text(st.characters(categories=["L", "Nd"]), max_size=12))
def test_a_skeleton_is_made_of_any_text(text: str) -> None:
    """Nothing raises, and nothing vanishes."""
    assert bool(skeleton(text)) == bool(text)


def test_a_look_is_taken_until_it_is_freed() -> None:
    """By its owner, who may look like himself."""
    looks, alice, mallory = ConfusableIndex(["server"]), object(), object()
    looks.add("alice", alice)
    assert looks.find_confusable("аlice", mallory) == "alice"
    assert looks.find_confusable("аlice", alice) == ""
    assert looks.find_confusable("ѕеrver", alice) == "server"
    looks.remove("alice", mallory)
    assert looks.find_confusable("аlice", mallory) == "alice"
    looks.remove("alice", alice)
    assert looks.find_confusable("аlice", mallory) == ""
