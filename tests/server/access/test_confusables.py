"""Confusable names and their skeletons."""

from itertools import combinations

import pytest
from hypothesis import given, strategies as st

from hubbub.protocol import ProtocolError, check_name, fold_name
from hubbub.server.access.confusables import ConfusableIndex, skeleton, skeletons_of
from testing.lookalikes import FIRST_NAMES, LOOKALIKES


def parse_name(text: str) -> str | None:
    """Return the name in `text`; None if it is not a valid name."""
    try:
        return check_name(text)
    except ProtocolError:
        return None


names = st.text(st.characters(categories=["L", "M", "Nd"]), min_size=1, max_size=12).map(parse_name)


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
        *LOOKALIKES,
    ],
)
def test_confusable_names_share_a_skeleton(one: str, other: str) -> None:
    """Names that Unicode calls confusable, in any case."""
    assert skeletons_of(one) & skeletons_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("alice", "alina"), ("ali", "all"), ("kim", "klm"), ("жук", "zhuk"), ("zoe", "zoë"), ("a", "b")],
)
def test_distinct_names_share_no_skeleton(one: str, other: str) -> None:
    """Names that readers can tell apart are not confusable."""
    assert not skeletons_of(one) & skeletons_of(other)


def test_first_names_share_no_skeleton() -> None:
    """Users with ordinary names keep nobody else with an ordinary name out, in any script."""
    spellings = [(name, skeletons_of(name) | skeletons_of(name.lower())) for name in FIRST_NAMES]
    assert [(one[0], other[0]) for one, other in combinations(spellings, 2) if one[1] & other[1]] == []


@pytest.mark.parametrize(
    "text", ["al\u200bice", "alice\u200d", "\ufeffalice", "ali\u00adce", "alice\u3164", "al\u2060ice"]
)
def test_name_with_invisible_character_is_invalid(text: str) -> None:
    """So a name has no zero-width twin."""
    assert parse_name(text) is None


@given(names.filter(bool))
def test_spellings_of_a_name_share_a_skeleton(name: str | None) -> None:
    """In the normal form and in the other case."""
    assert name
    assert skeletons_of(name) & skeletons_of(fold_name(name))
    assert skeletons_of(name) & skeletons_of(name.swapcase())


@given(st.text(st.characters(categories=["L", "M", "Nd"]), max_size=12))
def test_skeleton_of_a_skeleton(text: str) -> None:
    """It is the same, so the table needs no second look."""
    assert skeleton(skeleton(text)) == skeleton(text)


@given(st.text(st.characters(categories=["L", "Nd"]), max_size=12))
def test_skeleton_of_any_text(text: str) -> None:
    """No text raises an error, and only the empty text has an empty skeleton."""
    assert bool(skeleton(text)) == bool(text)


def test_skeleton_belongs_to_its_owner_until_removed() -> None:
    """An owner may have confusable names; others may not remove them."""
    index, alice, mallory = ConfusableIndex(["server"]), object(), object()
    index.add("alice", alice)
    assert index.find_confusable("аlice", mallory) == "alice"
    assert index.find_confusable("аlice", alice) == ""
    assert index.find_confusable("ѕеrver", alice) == "server"
    index.remove("alice", mallory)
    assert index.find_confusable("аlice", mallory) == "alice"
    index.remove("alice", alice)
    assert index.find_confusable("аlice", mallory) == ""
