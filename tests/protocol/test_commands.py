"""hubbub.protocol.commands: encoding, parsing and refusing what the client sends, and the command table."""

import contextlib
import re
from dataclasses import MISSING

import pytest
from hypothesis import given, strategies as st

from hubbub.client.commands import COMMANDS as CLIENT_COMMANDS
from hubbub.protocol import (
    COMMANDS,
    FOREIGN_WORDS,
    LAYOUTS,
    Color,
    Command,
    CommandRow,
    Exit,
    Help,
    History,
    Join,
    Leave,
    LineDecoder,
    List,
    Me,
    Msg,
    Name,
    Notice,
    PrivateMessage,
    ProtocolError,
    Renamed,
    Said,
    Say,
    Who,
    check_name,
    check_room,
    clean,
    command_table,
    decode_line,
    find_command,
    parse_command,
    parse_event,
)
from tests.protocol.strategies import (
    any_text,
    commands_of,
    cut,
    few,
    lines_of,
    rows,
    stream_bytes,
    texts,
    unhurried,
    usages_under,
    words,
)


def refusal(text: str) -> ProtocolError:
    """Return the error with which the command in `text` is refused."""
    with pytest.raises(ProtocolError) as caught:
        parse_command(text)
    return caught.value


@pytest.mark.parametrize("kind", [row.kind for row in COMMANDS.values()], ids=list(COMMANDS))
@few
@given(data=st.data())
def test_command_comes_back_as_it_was_sent(kind: type[Command], data: st.DataObject) -> None:
    """Encoding a command and parsing its line are inverse, for every kind."""
    command = data.draw(commands_of(kind))
    [line] = LineDecoder(limit=100_000).feed(command.encode())

    assert parse_command(decode_line(line)) == command


@unhurried
@given(texts.filter(bool))
def test_what_is_said_comes_back_as_it_was_sent(text: str) -> None:
    """Encoding and parsing are inverse for what is said, too."""
    [line] = LineDecoder().feed(Say(text).encode())

    assert parse_command(decode_line(line)) == Say(text)


@pytest.mark.parametrize("text", ["/", "/exit", "//", "//x", "/ x"])
def test_said_text_that_looks_like_a_command_stays_text(text: str) -> None:
    """A leading slash is doubled on the wire, so no text becomes a command."""
    assert parse_command(Say(text).encode().decode().removesuffix("\n")) == Say(text)


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (Name("alice"), b"/name alice\n"),
        (Name("alice", "red"), b"/name alice red\n"),
        (Who(), b"/who\n"),
        (History(), b"/history\n"),
        (History(10), b"/history 10\n"),
        (History(before=7), b"/history 50 7\n"),
        (Leave(), b"/leave\n"),
    ],
)
def test_fields_at_their_defaults_are_left_out(command: Command, line: bytes) -> None:
    """A command on the wire is as short as a person would type it."""
    assert command.encode() == line


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("hello", Say("hello")),
        (" /exit", Say(" /exit")),
        ("  two  spaces ", Say("  two  spaces ")),
        ("//x", Say("/x")),
        ("//", Say("/")),
        ("///x", Say("//x")),
        ("GET / HTTP/1.1", Say("GET / HTTP/1.1")),
        ("/name alice", Name("alice")),
        ("/NAME alice", Name("alice")),
        ("/name alice light blue", Name("alice", "light blue")),
        ("/name   alice   red  ", Name("alice", "red")),
        ("/color light blue", Color("light blue")),
        ("/me waves  twice ", Me("waves  twice ")),
        ("/me  waves", Me(" waves")),
        ("/join  ops ", Join("ops")),
        ("/leave", Leave()),
        ("/leave  ", Leave()),
        ("/leave now", Leave()),
        ("/List", List()),
        ("/who", Who()),
        ("/who ops", Who("ops")),
        ("/msg  bob hi there", Msg("bob", "hi there")),
        ("/msg bob  hi", Msg("bob", " hi")),
        ("/history", History()),
        ("/history 10", History(10)),
        ("/history  10  200 ", History(10, 200)),
        ("/help", Help()),
        ("/help join", Help("join")),
        ("/eXiT", Exit()),
        ("/quit", Exit()),
        ("/part", Leave()),
        ("/names ops", Who("ops")),
        ("/nick bob", Name("bob")),
    ],
)
def test_line_is_the_command(line: str, command: Command) -> None:
    """A line that starts with a slash is a command, in any case and with any spaces; any other line is said."""
    assert parse_command(line) == command


@pytest.mark.parametrize(("line", "meant"), [("/jion ops", "/join"), ("/whoo", "/who"), ("/nmae x", "/name")])
def test_unknown_command_suggests_the_nearest(line: str, meant: str) -> None:
    """A slip of the finger is answered with what was probably meant."""
    assert f"did you mean {meant}?" in refusal(line).text


@pytest.mark.parametrize("word", FOREIGN_WORDS)
def test_what_other_programs_call_a_command_is_a_hint_and_no_command(word: str) -> None:
    """The error suggests our word, in each table that has it; the foreign word is no command."""
    meant = FOREIGN_WORDS[word]
    tables = [table for table in (COMMANDS, CLIENT_COMMANDS) if meant in table and word not in table]

    assert tables
    assert all(word != row.word and word not in row.aliases for row in COMMANDS.values())
    for table in tables:
        with pytest.raises(ProtocolError, match=rf"did you mean /{meant}\?"):
            parse_command(f"/{word} bob", table)


@pytest.mark.parametrize("line", ["/", "/ join", "/xyzzy", "/?", "/" + "x" * 10_000])
def test_unknown_command_is_refused_with_the_way_out(line: str) -> None:
    """Whatever is typed, the answer is short and names /help and the doubled slash."""
    error = refusal(line)

    assert error.code == "unknown-command"
    assert error.text.endswith("/help lists the commands; type //text to send /text")
    assert len(error.text) < 200


@pytest.mark.parametrize(
    "line", ["/name", "/name ", "/color", "/me", "/me ", "/join", "/join   ", "/msg", "/msg bob", "/msg bob ", "/ping"]
)
def test_missing_argument_shows_the_usage(line: str) -> None:
    """A command without what it needs is answered with how it is typed."""
    error = refusal(line)

    assert (error.code, error.text) == ("missing-argument", f"usage: {find_command(line.split()[0]).usage}")


@pytest.mark.parametrize(
    "argument", ["x", "-1", "+1", "1.5", "0x10", "1_000", "١٢", "²", "1" * 16, "10 x", "10 -1", "10 20 30"]
)
def test_argument_that_is_no_number_is_refused(argument: str) -> None:
    """Only plain digits, as many as any client can hold, are a number."""
    error = refusal(f"/history {argument}")

    assert error.code == "argument-invalid"
    assert "is not a whole number" in error.text


@pytest.mark.parametrize("word", ["join", "/join", "JOIN", "/Join"])
def test_command_is_found_as_people_call_it(word: str) -> None:
    """The slash and the case do not matter."""
    assert find_command(word) is COMMANDS["join"]


OTHER_COMMANDS = command_table(
    CommandRow("nick", Name, "NAME", "change my name"), CommandRow("room", Join, "ROOM", "go there")
)


@pytest.mark.parametrize(
    ("line", "command"), [("/nick bob", Name("bob")), ("/Room ops", Join("ops")), ("hi", Say("hi")), ("//x", Say("/x"))]
)
def test_line_is_read_by_another_table(line: str, command: Command) -> None:
    """A program with other words than the wire has a table of the same kind; all else is the same."""
    assert parse_command(line, OTHER_COMMANDS) == command


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("/nick", "usage: /nick NAME"),
        (
            "/join ops",
            "there is no command /join; /help lists the commands; type //text to send /text",
        ),
        (
            "/rom ops",
            "there is no command /rom; did you mean /room? /help lists the commands; type //text to send /text",
        ),
    ],
)
def test_refusal_speaks_of_the_table_given(line: str, text: str) -> None:
    """An error never suggests a command of another table."""
    with pytest.raises(ProtocolError) as caught:
        parse_command(line, OTHER_COMMANDS)

    assert caught.value.text == text


def test_word_of_another_table_stays_off_the_wire() -> None:
    """Whatever a command is called by a person, it is sent under its own word."""
    assert parse_command("/nick bob", OTHER_COMMANDS).encode() == b"/name bob\n"


@unhurried
@given(
    st.one_of(
        texts.filter(bool),
        texts.map(lambda text: "/" + text),
        st.builds("/{} {}".format, st.sampled_from(list(COMMANDS)), texts),
    )
)
def test_any_line_is_a_command_or_refused(line: str) -> None:
    """Nothing that a client sends raises anything but ProtocolError."""
    try:
        command = parse_command(line)
    except ProtocolError as error:
        assert error.code in {"unknown-command", "missing-argument", "argument-invalid"}
    else:
        assert isinstance(command, Command)


@unhurried
@given(cut(st.one_of(stream_bytes, st.lists(st.one_of(rows, texts)).map(lambda lines: "\n".join(lines).encode()))))
def test_what_a_client_sends_is_never_a_line_of_the_server(data: tuple[bytes, list[bytes]]) -> None:
    """Whatever bytes come, in whatever pieces, all that is said or done of them stays inside one line of its room."""
    for line in lines_of(LineDecoder(), data[1]):
        assert isinstance(line, bytes)
        text = decode_line(line)
        for event in (
            Said("lobby", 1, 0, "bob", "red", text),
            PrivateMessage(0, "bob", "red", "al", text),
            Notice(text),
        ):
            sent = event.encode()
            assert LineDecoder().feed(sent) == [sent[:-1]]
            assert parse_event(decode_line(sent[:-1])) == event


@unhurried
@given(words | any_text)
def test_a_name_or_room_is_one_field_that_shows(text: str) -> None:
    """What is accepted can be neither two fields, nor an escape, nor nothing to see."""
    for check in (check_name, check_room):
        with contextlib.suppress(ProtocolError):
            word = check(text)
            assert word.isprintable()
            assert word == clean(word)
            assert word[0].isalnum()
            assert not set(word) & set(" /:\x1b[]{}<>")
            assert parse_event(f"/renamed lobby 0 {word} red {word}") == Renamed("lobby", 0, word, "red", word)


def test_docstring_lists_every_command() -> None:
    """The table of the docstring and the one that commands are parsed by name the same usages, in the same order."""
    usages = [usage for usage in usages_under("From the client") if usage != "TEXT"]

    assert usages == [row.usage for row in COMMANDS.values()]


@pytest.mark.parametrize("word", COMMANDS)
def test_usage_names_each_field_of_a_command(word: str) -> None:
    """A usage shows in brackets what may be left out, and nothing else."""
    row = COMMANDS[word]
    needed = LAYOUTS[row.kind].defaults.count(MISSING)

    assert len(re.findall(r"(?<![\[|])\b[A-Z]+\b", row.arguments)) == needed
