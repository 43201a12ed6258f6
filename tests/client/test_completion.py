"""How a line goes on: commands, their arguments, and the names in what is said."""

import pytest

from hubbub.client.commands import COMMANDS
from hubbub.client.completion import CANDIDATES, WORD_CHARS, Candidate, Completion, complete, needs_rooms
from hubbub.client.state.roster import Member
from hubbub.protocol import COLORS, RoomRow

PEOPLE = [
    Member("bobby", "red"),
    Member("Ähre", "teal"),
    Member("bob", "blue"),
    Member("carol", "pink"),
    Member("Straße", "green"),
    Member("アリス", "cyan"),
]
ROOMS = [RoomRow("lobby", 3, "-"), RoomRow("Ops", 1, "locked"), RoomRow("opera", 0, "-")]
NOTHING = Completion()


def after(before: str) -> Completion:
    """Return how the line goes on with these people and rooms."""
    return complete(before, PEOPLE, ROOMS)


def texts(before: str) -> list[str]:
    """Return the texts of the candidates."""
    return [candidate.text for candidate in after(before).candidates]


def lines(before: str) -> list[str]:
    """Return what the line becomes with each candidate."""
    completion = after(before)
    start = before[: len(before) - completion.length]
    return [start + candidate.text for candidate in completion.candidates]


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        # the word of a command
        ("/jo", ["/join "]),
        ("/JO", ["/join "]),
        ("/join", ["/join "]),
        ("/l", ["/leave", "/list"]),
        ("/me", ["/me ", "/mentions"]),
        ("/r", ["/r ", "/release "]),
        ("/resume", []),
        ("/x", []),
        ("//", []),
        ("//jo", []),
        # a name
        ("/msg ", [f"/msg {member.name} " for member in PEOPLE]),
        ("/msg bo", ["/msg bobby ", "/msg bob "]),
        ("/join  op", ["/join  Ops", "/join  opera"]),
        ("/msg  BOB", ["/msg  bobby ", "/msg  bob "]),
        ("/MSG ca", ["/MSG carol "]),
        ("/ignore ca", ["/ignore carol "]),
        ("/unignore ca", ["/unignore carol "]),
        ("/ignore bob ca", []),
        ("/nick bo", []),  # a new name is not a member's
        ("/name bo", []),
        # a room
        ("/join ", ["/join lobby", "/join Ops", "/join opera"]),
        ("/join OP", ["/join Ops", "/join opera"]),
        ("/join #OP", ["/join #Ops", "/join #opera"]),
        ("/names OP", ["/names Ops", "/names opera"]),
        ("/who lo", ["/who lobby"]),
        ("/join lobby o", []),
        # a colour
        ("/color li", ["/color light-blue"]),
        ("/color Light ", ["/color light-blue"]),
        ("/color light b", ["/color light-blue"]),
        ("/color b", ["/color black", "/color blue"]),
        ("/name bob pu", ["/name bob purple"]),
        ("/name bob light  bl", ["/name bob light-blue"]),
        # a command as an argument
        ("/help no", ["/help notify"]),
        ("/help /no", ["/help /notify"]),
        # one of some words
        ("/notify ", ["/notify all", "/notify mention", "/notify off"]),
        ("/notify M", ["/notify mention"]),
        ("/notify all o", []),
        # what cannot be known
        ("/history 1", []),
        ("/leave ", []),
        ("/leave bo", []),
        ("/dance bo", []),
        # what is said
        ("", []),
        ("b", ["bobby: ", "bob: "]),
        ("BO", ["bobby: ", "bob: "]),
        ("hi bo", ["hi bobby ", "hi bob "]),
        (" bo", [" bobby ", " bob "]),
        ("hi ", []),
        ("hi bo ", []),
        ("hi, look bobo", []),
        ("hi @ca", ["hi @carol "]),
        ("@ca", ["@carol "]),
        ("hi @@ca", []),
        ("//me ca", ["//me carol "]),
        ("first\nca", ["first\ncarol "]),
        ("/me hugs ca", ["/me hugs carol "]),
        ("/me ca", ["/me carol "]),
        ("/r ca", ["/r carol "]),
        ("/r @ca", ["/r @carol "]),
        ("/msg bob ca", ["/msg bob carol "]),
        ("/msg bob ", []),
        # any script
        ("ä", ["Ähre: "]),
        ("a\u0308h", ["Ähre: "]),
        ("/msg A\u0308H", ["/msg Ähre "]),
        ("STRASS", ["Straße: "]),
        ("hi straße", ["hi Straße "]),
        ("ｃａ", ["carol: "]),
        ("/msg ｱﾘ", ["/msg アリス "]),
    ],
)
def test_line_is_completed(before: str, expected: list[str]) -> None:
    """What is typed of a word is replaced by the candidates that start with it."""
    assert lines(before) == expected


@pytest.mark.parametrize(
    ("before", "unasked"),
    [
        ("/", True),
        ("/jo", True),
        ("/join", True),  # its arguments are shown
        ("/leave", False),
        ("/LEAVE", False),
        ("/msg ", True),
        ("/msg bo", True),
        ("/msg  bo", True),
        ("/msg bob", False),
        ("/msg CAROL", False),
        ("/join ", True),
        ("/join ops", False),
        ("/color t", True),
        ("/color teal", False),
        ("/color light blue", False),
        ("/help jo", True),
        ("/help join", False),
        ("/notify a", True),
        ("/notify all", False),
        ("/me hugs bo", False),
        ("/r carol", False),
        ("c", False),
        ("ca", True),
        ("CA", False),  # what follows the cursor could not stay as it is shown
        ("carol", True),  # `: ` is missing
        ("hi ca", True),
        ("hi carol", False),
        ("hi bob", False),
        ("@c", False),
        ("hi @ca", True),
        ("hi @", False),
        ("STRASS", False),
        ("a\u0308h", False),
        ("ca\nca", True),
    ],
)
def test_completion_is_shown_unasked_where_that_helps(before: str, *, unasked: bool) -> None:
    """Not where nothing is missing, nor where a word of text may become a name."""
    completion = after(before)

    assert completion.candidates
    assert completion.unasked is unasked


@pytest.mark.parametrize("before", ["", "hello", "/x", "//", "/leave ", "/nick bo", "/msg zoe", "hi "])
def test_line_without_candidates_has_an_empty_completion(before: str) -> None:
    """There is nothing to replace, and nothing to show."""
    assert after(before) == NOTHING


@pytest.mark.parametrize(
    ("before", "candidate"),
    [
        ("/jo", Candidate("/join ", "/join ROOM [KEY]", COMMANDS["join"].help)),
        ("/lea", Candidate("/leave", "/leave", COMMANDS["leave"].help)),
        ("/help jo", Candidate("join", "join", COMMANDS["join"].help)),
        ("/msg ca", Candidate("carol ", "carol", style="pink")),
        ("ca", Candidate("carol: ", "carol", style="pink")),
        ("/color li", Candidate("light-blue", "light blue", style="light-blue")),
        ("/join lob", Candidate("lobby", "lobby", "3 people")),
        ("/join ops", Candidate("Ops", "Ops", "1 person · locked")),
        ("/join oper", Candidate("opera", "opera")),
        ("/notify a", Candidate("all", "all")),
    ],
)
def test_candidate_has_a_label(before: str, candidate: Candidate) -> None:
    """Commands have usage and help, names and colours their colour, rooms their number of members."""
    assert after(before).candidates == (candidate,)


def test_slash_alone_offers_every_command() -> None:
    """In the order of the help."""
    assert [candidate.label for candidate in after("/").candidates] == [row.usage for row in COMMANDS.values()]


def test_every_color_and_command_is_offered() -> None:
    """Where nothing of the argument is typed yet."""
    assert texts("/color ") == list(COLORS)
    assert texts("/help ") == list(COMMANDS)


def test_no_members_no_candidates() -> None:
    """Names are those of the members."""
    assert complete("/msg ", [], []) == complete("bo", [], []) == complete("/join ", [], []) == NOTHING


@pytest.mark.parametrize(
    ("before", "wanted"),
    [
        ("/join ", True),
        ("/WHO o", True),
        ("/join", False),
        ("/join ops x", False),
        ("/msg o", False),
        ("join o", False),
        ("//join o", False),
    ],
)
def test_rooms_are_needed_where_one_is_typed(before: str, *, wanted: bool) -> None:
    """The client asks for them only then."""
    assert needs_rooms(before) is wanted


@pytest.mark.parametrize("before", ["/msg ", "x", "/me x"])
def test_candidates_are_limited(before: str) -> None:
    """The first ones are as many as a user looks through."""
    many = [Member(f"x{number}", "red") for number in range(CANDIDATES + 1)]

    labels = [candidate.label for candidate in complete(before, many, []).candidates]

    assert labels == [member.name for member in many[:CANDIDATES]]


@pytest.mark.parametrize("start", ["", "/msg "])
def test_word_too_long_for_any_name_is_not_completed(start: str) -> None:
    """However it is normalised."""
    name = Member("é" * WORD_CHARS, "red")

    assert complete(start + "e\u0301" * (WORD_CHARS // 2 + 1), [name], []) == NOTHING
