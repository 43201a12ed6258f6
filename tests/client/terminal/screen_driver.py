"""A program with a Screen and a line handler that echoes: for the tests of the terminal."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from hubbub.client.completion import Candidate, Completion
from hubbub.client.output.styled_line import Span, StyledLine
from hubbub.client.output.ui import InputRejectedError, StoppedError
from hubbub.client.state.notification import Age, Notification
from hubbub.client.state.status import CONNECTED, Status
from hubbub.client.terminal.screen import Screen
from hubbub.color import Palette
from hubbub.protocol import Event, Joined, Notice, Said
from testing.client_runs import NOON

COMMANDS = {
    "/join": "go to ROOM, made if it is not there",
    "/list": "every room with its number of people",
    "/leave": "back to the lobby",
    "/me": "an action: alice waves",
    "/msg": "tell NAME alone",
    "/mentions": "show again what mentioned you",
    "/notify": "what to be called for",
    "/name": "another name",
}
NAMES = {"bob": "red", "bobby": "teal", "carol": "blue"}


class EchoHandler:
    """A line handler that shows on `screen` what is typed; some commands simulate events of a chat."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._full = False
        self._room = "lobby"
        self._unsent: list[str] = []
        self._commands: dict[str, Callable[[str], object]] = {
            "/full": lambda _: setattr(self, "_full", True),
            "/empty": lambda _: setattr(self, "_full", False),
            "/room": lambda room: setattr(self, "_room", room),
            "/unsent": lambda lines: setattr(self, "_unsent", lines.split()),
            "/clear": lambda _: screen.clear(),
            "/stop": lambda _: screen.stop(),
            "/fail": self._fail,
            "/flood": lambda count: threading.Thread(target=self._flood, args=(int(count),)).start(),
            "/said": lambda text: screen.show(Notification(said(text), "alice")),
            "/alert": lambda text: screen.show(Notification(said(text), "alice", mention=True, alert=True)),
            "/joined": lambda name: self._show(Joined("lobby", NOON, name, "red")),
        }

    def handle_line(self, line: str) -> bool:
        """Show a line, or carry out a command."""
        word, _, rest = line.partition(" ")
        if word == "/exit":
            return False
        if self._full and word != "/empty":
            self._notify("not taken")
            raise InputRejectedError
        command = self._commands.get(word)
        if command is None:
            self._notify(f"line {line}")
        else:
            command(rest)
        return True

    def handle_paste(self, lines: Sequence[str]) -> None:
        """Show the lines."""
        if self._full:
            self._notify("not taken")
            raise InputRejectedError
        self._notify(f"text {'|'.join(lines)}")

    def status(self) -> Status:
        """Return a status that only the commands change."""
        return Status(self._room, 3, CONNECTED, tuple(self._unsent[:5]), len(self._unsent))

    def complete(self, before: str) -> Completion:
        """Complete commands, and names."""
        if before.startswith("/"):
            found = [Candidate(f"{word} ", word, what) for word, what in COMMANDS.items() if word.startswith(before)]
            return Completion(len(before), tuple(found), unasked=True)
        typed = before.rpartition(" ")[2]
        found = [Candidate(name, name, "", style) for name, style in NAMES.items() if name.startswith(typed)]
        return Completion(len(typed), tuple(found), unasked=len(typed) > 1)

    def _fail(self, what: str) -> None:
        raise RuntimeError(what)

    def _flood(self, count: int) -> None:
        for number in range(1, count + 1):
            self._show(said(f"message {number} of {count} that is here"))
        self._notify("flooded")

    def _notify(self, text: str) -> None:
        self._show(Notice(text))

    def _show(self, event: Event) -> None:
        self._screen.show(Notification(event, "alice"))


def said(text: str) -> Said:
    """Return a message from bob at noon in the lobby."""
    return Said("lobby", 1, NOON, "bob", "red", text)


def main() -> int:
    """Return 0 after leaving, 1 after a stop and 130 after Ctrl-C."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGHUP, signal.SIG_IGN if "deaf" in sys.argv else lambda *_: sys.exit(129))
    screen = Screen(Palette.for_stream(sys.stdout))
    screen.show(Notification(Notice("what came before"), "alice", Age.PAST))
    try:
        if "ask" in sys.argv:
            screen.show_line(StyledLine(body=(Span("--- who are you?"),)))
            answer = screen.ask("Username: ")
            screen.show_line(StyledLine(body=(Span(f"--- answer {answer}"),)))
        if "wait" in sys.argv:
            threading.Event().wait()
        screen.read_lines(EchoHandler(screen))
    except StoppedError:
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        screen.close()
    os.write(1, b"left\r\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
