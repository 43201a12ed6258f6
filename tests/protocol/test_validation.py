"""hubbub.protocol.validation: names, rooms, colours and durations."""

import unicodedata

import pytest
from hypothesis import given, strategies as st

from hubbub.protocol import (
    COLORS,
    TEXT_CHARS,
    ProtocolError,
    check_color,
    check_name,
    check_room,
    check_text,
    clean,
    default_color,
    fold_name,
)
from tests.protocol.strategies import UNSAFE_SAMPLES, any_text, unhurried


@pytest.mark.parametrize("char", UNSAFE_SAMPLES, ids=ascii)
def test_unsafe_character_is_refused_in_a_name(char: str) -> None:
    """A name that was not cleaned does not get through either."""
    with pytest.raises(ProtocolError) as caught:
        check_name(f"al{char}ice")
    assert caught.value.code == "name-invalid"


@pytest.mark.parametrize("char", UNSAFE_SAMPLES, ids=ascii)
def test_unsafe_character_is_refused_in_a_room(char: str) -> None:
    """A room that was not cleaned does not get through either."""
    with pytest.raises(ProtocolError) as caught:
        check_room(f"o{char}ps")
    assert caught.value.code == "room-invalid"


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "7",
        "alice",
        "Alice_B-2.0",
        "x" * 20,
        "漢" * 10,
        "Zoë",
        "Ольга",
        "मीरा",
        "ที่รัก",  # two marks on one letter
        "한글",
        "שרה",
        "ヴィクトル",
        "か\u3099",
        "សុខា",
        "עֲלִיָּה",
        "மீனா",
        "х\u0301",
        "servers",
    ],
)
def test_name_is_accepted(name: str) -> None:
    """Names of any script are names, and stay as they were written."""
    assert check_name(name) == unicodedata.normalize("NFKC", name)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("", "Choose 1-20 letters, digits, _ - or . (no spaces)"),
        ("x" * 21, "too long"),
        ("漢" * 10 + "x", "too long"),
        ("two words", "Choose 1-20 letters, digits, _ - or . (no spaces)"),
        ("no\xa0break", "1-20 letters, digits"),
        ("a/b", "1-20 letters, digits"),
        ("a@b", "1-20 letters, digits"),
        ("smile🙂", "1-20 letters, digits"),
        ("a\u200db", "1-20 letters, digits"),
        ("a\u3164", "1-20 letters, digits"),
        ("\u3164", "starts with a letter or a digit"),
        ("\u1160", "starts with a letter or a digit"),
        ("\uffa0", "starts with a letter or a digit"),
        ("_a", "starts with a letter or a digit"),
        ("-a", "starts with a letter or a digit"),
        (".a", "starts with a letter or a digit"),
        ("/a", "starts with a letter or a digit"),
        ("\u0301a", "starts with a letter or a digit"),
        ("-", "starts with a letter or a digit"),
        ("a\u0327\u0327\u0327", "1-20 letters, digits"),
        ("a" + "\u0301" * 5_000, "too long"),
        ("a\u115f", "1-20 letters, digits"),
        ("alice\u034f", "1-20 letters, digits"),
        ("alice\ufe0f", "1-20 letters, digits"),
        ("alice\u180b", "1-20 letters, digits"),
        ("alice\U000e0101", "1-20 letters, digits"),
        ("\u115f", "starts with a letter or a digit"),
        ("alice\u17d2", "1-20 letters, digits"),
        ("alice\u2d7f", "1-20 letters, digits"),
        ("7\U0001107f", "1-20 letters, digits"),
    ],
    ids=ascii,
)
def test_name_is_refused_and_told_why(name: str, told: str) -> None:
    """The error says which rule the name breaks."""
    with pytest.raises(ProtocolError) as caught:
        check_name(name)
    assert (caught.value.code, told in caught.value.text) == ("name-invalid", True)


@pytest.mark.parametrize("name", ["server", "system", "everyone", "SERVER", "Everyone", "ｓｙｓｔｅｍ", "ſerver"])
def test_reserved_name_is_refused(name: str) -> None:
    """No user can speak as the chat itself, in any spelling."""
    with pytest.raises(ProtocolError, match="is reserved; choose another"):
        check_name(name)


def test_full_width_letters_become_ordinary_ones() -> None:
    """A name is what it looks like: NFKC is applied."""
    assert check_name("Ａｌｉｃｅ１") == "Alice1"


def test_letter_and_accent_become_one_character() -> None:
    """A name typed on a Mac and on Linux is the same name."""
    assert check_name("Zoe\u0308") == "Zo\xeb"


def test_columns_count_after_normalising() -> None:
    """Twenty full-width letters are twenty columns, as they will be shown."""
    assert check_name("ａ" * 20) == "a" * 20


@unhurried
@given(any_text)
def test_accepted_name_is_one_word_that_stays_accepted(text: str) -> None:
    """A name is refused as such, or is one field of a line that means the same when it is checked again."""
    try:
        name = check_name(text)
    except ProtocolError as error:
        assert error.code == "name-invalid"
    else:
        assert name == check_name(clean(name)).replace(" ", "")


def test_room_of_32_columns_is_accepted() -> None:
    """Rooms follow the rules of names, with more room."""
    assert check_room("r" * 32) == "r" * 32


@pytest.mark.parametrize(
    ("room", "told"),
    [
        ("", "Choose 1-32 letters, digits, _ - or . (no spaces)"),
        ("r" * 33, "too long"),
        ("漢" * 16 + "r", "too long"),
        ("-ops", "a room starts with a letter or a digit"),
        ("##ops", "a room starts with a letter or a digit"),
        ("o ps", "1-32 letters"),
    ],
)
def test_room_is_refused_and_told_why(room: str, told: str) -> None:
    """The error says which rule the room breaks."""
    with pytest.raises(ProtocolError) as caught:
        check_room(room)
    assert (caught.value.code, told in caught.value.text) == ("room-invalid", True)


def test_room_may_have_a_reserved_name() -> None:
    """Rooms do not speak, so no name of a room is reserved."""
    assert check_room("system") == "system"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Alice", "aLICE"),
        ("ＡＬＩＣＥ", "alice"),
        ("straße", "STRASSE"),
        ("Ζωῆς", "ΖΩῆΣ"),
        ("e\u0301", "É"),
        ("㎒", "mhz"),
        ("\u0390", "\u03aa\u0301"),
    ],
)
def test_names_in_another_case_or_form_are_the_same(one: str, other: str) -> None:
    """Another spelling does not give a user the name of another one."""
    assert fold_name(one) == fold_name(other)


@pytest.mark.parametrize(("one", "other"), [("alice", "alice1"), ("a.b", "a-b"), ("Ola", "Ołа")])
def test_different_names_are_not_the_same(one: str, other: str) -> None:
    """Names that read differently are different names."""
    assert fold_name(one) != fold_name(other)


@unhurried
@given(any_text)
def test_key_of_a_key_is_itself(text: str) -> None:
    """What two names have in common does not depend on how often it is asked."""
    assert fold_name(fold_name(text)) == fold_name(text)


@pytest.mark.parametrize("color", COLORS)
def test_every_colour_is_accepted(color: str) -> None:
    """All twelve can be chosen."""
    assert check_color(color) == color


@pytest.mark.parametrize("text", ["light blue", "Light Blue", "LIGHT-BLUE", "  light   blue "])
def test_light_blue_may_be_typed_as_people_do(text: str) -> None:
    """A space, more of them, and capitals are understood."""
    assert check_color(text) == "light-blue"


@pytest.mark.parametrize("text", ["", "mauve", "light", "lightblue", "red blue"])
def test_unknown_colour_is_refused_naming_all(text: str) -> None:
    """The error lists the twelve colours."""
    with pytest.raises(ProtocolError) as caught:
        check_color(text)
    assert caught.value.args == ("color-unknown", f"choose one of these colours: {', '.join(COLORS)}")


@pytest.mark.parametrize("name", ["alice", "Ольга", "漢字", "straße"])
def test_default_colour_is_always_the_same_for_a_name(name: str) -> None:
    """The colour belongs to the name, in whatever case or form it is written."""
    forms = [name, name.upper(), name.swapcase(), unicodedata.normalize("NFD", name)]

    assert {default_color(form) for form in forms} == {default_color(name)}


def test_default_colour_is_the_same_in_every_process() -> None:
    """The choice does not depend on how Python hashes strings that day."""
    assert [default_color(name) for name in ("alice", "bob")] == ["cyan", "green"]


@unhurried
@given(st.text())
def test_default_colour_is_a_colour_but_black_and_white(name: str) -> None:
    """Every name, even one that would be refused, has a colour that needs no background."""
    assert default_color(name) in COLORS[2:]


def test_default_colours_are_all_in_use() -> None:
    """A few hundred people share all ten colours."""
    assert {default_color(f"user{number}") for number in range(300)} == set(COLORS[2:])


def test_text_of_2000_characters_is_accepted() -> None:
    """The limit counts characters, not bytes, and is itself allowed."""
    text = "🙂" * TEXT_CHARS

    assert check_text(text) == text


def test_text_of_2001_characters_is_refused_naming_the_limit() -> None:
    """A text that is too long is refused, never cut, and the writer reads by how much."""
    with pytest.raises(ProtocolError, match="at most 2000 characters and this one has 2001") as caught:
        check_text("x" * 2_001)
    assert caught.value.code == "text-too-long"
