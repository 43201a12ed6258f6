"""The commands that a user can type: which there are, what they mean, and how a wrong one is answered."""

import re
from dataclasses import MISSING

import pytest

from hubbub import protocol
from hubbub.client.commands import (
    COMMANDS,
    Clear,
    Colors,
    Ignore,
    LocalCommand,
    Mentions,
    Notify,
    Reply,
    Unignore,
    choose_color,
    parse_line,
)
from hubbub.protocol import Color, Command, Exit, Help, History, Join, Leave, Me, Msg, Name, ProtocolError, Say, Who


def refusal(line: str) -> tuple[str, str]:
    """Return the code and the text with which `line` is refused."""
    with pytest.raises(ProtocolError) as caught:
        parse_line(line)
    return caught.value.code, caught.value.text


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("hello", Say("hello")),
        ("//r x", Say("/r x")),
        ("/nick bob", Name("bob")),
        ("/name bob light blue", Name("bob", "light-blue")),
        ("/name bob 4", Name("bob", "red")),
        ("/color red", Color("red")),
        ("/color 4", Color("red")),
        ("/color Light Blue", Color("light-blue")),
        ("/Color ", Colors()),
        ("/me waves", Me("waves")),
        ("/join ops", Join("ops")),
        ("/join #ops key", Join("ops", "key")),
        ("/leave", Leave()),
        ("/part #ops", Leave()),
        ("/quit bye", Exit()),
        ("/names #ops", Who("ops")),
        ("/who ops", Who("ops")),
        ("/msg bob hi", Msg("bob", "hi")),
        ("/history 10 200", History(10, 200)),
        ("/help join", Help("join")),
        ("/r  two  spaces ", Reply(" two  spaces ")),
        ("/R yes", Reply("yes")),
        ("/ignore", Ignore()),
        ("/ignore  Bob ", Ignore("Bob")),
        ("/Ignore Ｂｏｂ", Ignore("Bob")),
        ("/unignore bob", Unignore("bob")),
        ("/mentions", Mentions()),
        ("/notify", Notify()),
        ("/notify all", Notify("all")),
        ("/NOTIFY Mention", Notify("mention")),
        ("/notify  off ", Notify("off")),
        ("/clear", Clear()),
    ],
)
def test_line_is_parsed(line: str, command: Command) -> None:
    """Words in any case; names come out normalised."""
    assert parse_line(line) == command


@pytest.mark.parametrize("word", ["resume", "post", "ping", "pong"])
def test_commands_between_programs_cannot_be_typed(word: str) -> None:
    """The client sends them by itself."""
    assert refusal(f"/{word} 1 2 3")[0] == "unknown-command"


def test_mistyped_word_is_answered_with_a_suggestion() -> None:
    """It may be a command of the client alone."""
    text = "there is no command /mentoins; did you mean /mentions? /help lists the commands; type //text to send /text"
    assert refusal("/mentoins") == ("unknown-command", text)


@pytest.mark.parametrize(("line", "command"), [("/quit", Exit()), ("/part", Leave()), ("/names ops", Who("ops"))])
def test_words_of_irc_are_commands(line: str, command: Command) -> None:
    """Users of IRC type the words that they know."""
    assert parse_line(line) == command


@pytest.mark.parametrize(
    ("word", "meant"),
    [("bye", "exit"), ("q", "exit"), ("close", "leave"), ("w", "msg"), ("users", "who"), ("rename", "name")],
)
def test_word_of_another_program_is_answered_with_ours(word: str, meant: str) -> None:
    """It does nothing itself."""
    assert refusal(f"/{word} bob")[1].startswith(f"there is no command /{word}; did you mean /{meant}?")


@pytest.mark.parametrize(
    ("line", "usage"),
    [
        ("/nick", "/nick NAME"),
        ("/r", "/r TEXT"),
        ("/unignore", "/unignore NAME"),
        ("/msg bob", "/msg NAME TEXT"),
    ],
)
def test_missing_argument_shows_the_usage(line: str, usage: str) -> None:
    """Of the word that was typed."""
    assert refusal(line) == ("missing-argument", f"usage: {usage}")


@pytest.mark.parametrize("line", ["/nick two words", "/Nick  bob red"])
def test_nick_takes_a_name_alone(line: str) -> None:
    """A second word is not taken for a colour."""
    text = "usage: /nick NAME; a name has no spaces, and /color sets the colour"
    assert refusal(line) == ("argument-invalid", text)


@pytest.mark.parametrize("level", ["loud", "all off", "mentions"])
def test_bad_level_shows_the_usage(level: str) -> None:
    """Nothing is guessed."""
    assert refusal(f"/notify {level}") == ("argument-invalid", "usage: /notify [all|mention|off]")


@pytest.mark.parametrize("word", ["ignore", "unignore"])
@pytest.mark.parametrize("name", ["bob carol", "-", "server", "x" * 21])
def test_invalid_name_is_refused(word: str, name: str) -> None:
    """Before it is stored."""
    assert refusal(f"/{word} {name}")[0] == "name-invalid"


def test_order_of_the_commands() -> None:
    """Those for operators come last."""
    assert " ".join(COMMANDS) == (
        "join leave list who msg r me nick color ignore unignore mentions notify history clear name "
        "help exit kick ban unban bans mute unmute release"
    )


@pytest.mark.parametrize("word", [word for word in COMMANDS if word in protocol.COMMANDS])
def test_commands_of_the_protocol_are_the_same(word: str) -> None:
    """In kind and arguments."""
    assert COMMANDS[word].kind is protocol.COMMANDS[word].kind
    assert COMMANDS[word].arguments == protocol.COMMANDS[word].arguments


@pytest.mark.parametrize("word", COMMANDS)
def test_optional_arguments_are_in_brackets(word: str) -> None:
    """The others are required."""
    row = COMMANDS[word]

    assert len(re.findall(r"(?<![\[|])\b[A-Z]+\b", row.arguments)) == row.layout.defaults.count(MISSING)


@pytest.mark.parametrize("word", COMMANDS)
def test_help_is_one_short_line(word: str) -> None:
    """It fits beside the usage, without a capital and a full stop."""
    text = COMMANDS[word].help

    assert re.fullmatch(r"(NAME|[a-z]).*[^.]", text)
    assert len(text) <= 70


def test_local_commands_are_not_in_the_protocol() -> None:
    """The client carries them out itself."""
    local = {word for word, row in COMMANDS.items() if issubclass(row.kind, LocalCommand)}

    assert local == {"r", "ignore", "unignore", "mentions", "notify", "clear"}
    assert local.isdisjoint(protocol.COMMANDS)


@pytest.mark.parametrize(
    ("text", "chosen"),
    [("1", "black"), ("12", "purple"), (" 04 ", "red"), ("red", "red"), ("Light  Blue", "light-blue")],
)
def test_color_by_name_or_number(text: str, chosen: str) -> None:
    """As the chart shows them, counted from 1."""
    assert choose_color(text) == chosen


@pytest.mark.parametrize("text", ["0", "00", "13", "-1", "²", "mauve", ""])
def test_bad_color_is_refused(text: str) -> None:
    """The error lists the colours."""
    with pytest.raises(ProtocolError, match="choose one of these colours: black"):
        choose_color(text)
