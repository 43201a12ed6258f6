"""Input lines, from a user or a pipe: commands are carried out here or sent to the server, other lines are posted.

For the main thread.
"""

from collections.abc import Callable, Sequence
from itertools import groupby

from hubbub.client.commands import (
    Clear,
    Colors,
    Ignore,
    LocalCommand,
    Mentions,
    Notify,
    Reply,
    Unignore,
    help_lines,
    parse_line,
)
from hubbub.client.completion import Completion, complete, needs_rooms
from hubbub.client.output.render import render_chart
from hubbub.client.output.ui import InputRejectedError, Ui
from hubbub.client.session import Session
from hubbub.client.state.highlights import Highlights
from hubbub.client.state.notification import Notification
from hubbub.client.state.outbox import FullError, TooMuchError
from hubbub.client.state.settings import Settings, SettingsError, SettingsFile
from hubbub.client.state.status import Status
from hubbub.protocol import (
    COLORS,
    LINE_BYTES,
    Color,
    Command,
    Exit,
    Help,
    Join,
    Leave,
    LineTooLongError,
    Me,
    Msg,
    Name,
    ProtocolError,
    Say,
    check_text,
    clean,
    fold_name,
)

EXIT_SECONDS = 2.0  # for acknowledgements that are on their way when the user leaves

OFFLINE = "not sent, because you are offline: {}; press Up to get it back"
FULL = "not accepted: {} waiting to be sent, and no more can; the line stays below, try again later"
PASTE_FULL = (
    "not accepted: {} waiting to be sent, and {} more are too many; they stay below, try again later or send fewer"
)
PASTE_TOO_MUCH = "not accepted: {}; they stay below, send fewer"
PASTE_LINE = "nothing was sent, because of line {}: {}"
COLORS_ARE = "your colour is {}; /color takes one of {}"
COLOR_IS = "your colour is {}; /color takes a name or a number:"
MAY_LOCK = "if {} is new, this locks it with a key; send the line again to go on"
NO_SENDER = "no one has sent you a private message yet"
NO_MENTION = "none of the lines shown here mentions you"

_NOTIFY = {
    "all": "every line in {} rings the bell",
    "mention": "a line in {} rings the bell if it contains your name",
    "off": "no line in {} rings the bell",
}

_WAIT_OFFLINE = (Say, Me, Join, Leave, Name, Color)  # the others are of no use later


def count_lines(count: int) -> str:
    """Return `1 line is` or `3 lines are`."""
    return "1 line is" if count == 1 else f"{count} lines are"


class InputHandler:
    """Handles the input of one session on one user interface."""

    def __init__(self, session: Session, highlights: Highlights, settings: SettingsFile, ui: Ui) -> None:
        self._session = session
        self._display = session.display
        self._highlights = highlights
        self._settings = settings
        self._ui = ui
        self._is_warned = False  # that leaving discards unsent lines
        self._doubted_line = ""  # the last line, if it may lock a room by mistake

    # ---------------------------------------------------------------------------------------- lines from an editor

    def handle_line(self, line: str) -> bool:
        """Carry out a line, or show why not; return False when the user leaves.

        Waits only when leaving, for EXIT_SECONDS. Raises InputRejectedError while the outbox is full, and the first
        time for a line that may lock a room.
        """
        command = self._parse(line)
        if isinstance(command, Exit):
            return not self._may_exit()
        self._is_warned = False
        if self._may_lock(command, line):
            raise InputRejectedError
        if command is not None:
            self._carry_out(command, line)
        return True

    def handle_paste(self, lines: Sequence[str]) -> None:
        """Post all these lines, in order, none as a command; or raise InputRejectedError and post none."""
        texts = [text for line in lines if (text := clean(line)).strip()]
        posts = [self._check_pasted(number, text) for number, text in enumerate(texts, start=1)]
        if posts:
            self._submit(posts, PASTE_FULL.format(count_lines(len(self._session.unsent)), len(posts)))

    def status(self) -> Status:
        """Return what the status line shows now."""
        return self._session.status()

    def complete(self, before: str) -> Completion:
        """Return the completions of a line that starts with `before`."""
        rooms = self._session.rooms() if needs_rooms(before) else ()
        return complete(before, self._session.members(), rooms)

    # ------------------------------------------------------------------------------- lines that come one after another

    def handle_line_and_wait(self, line: str) -> bool:
        """Carry out a line, and return when the next one can follow; return False for one that says to leave.

        Raises progress_timeout.NotSentError, and StoppedError.
        """
        command = self._parse(line)
        if command is not None and not isinstance(command, Exit) and not self._may_lock(command, line):
            self._carry_out(command, line)
            self._session.wait_for_space()
        return not isinstance(command, Exit)

    def send_text_and_wait(self, line: str) -> bool:
        """Post a line as text, whatever it starts with, and return True when the next one can follow.

        Raises as `handle_line_and_wait`.
        """
        text = clean(line)
        try:
            command = check(Say(text)) if text.strip() else None
        except ProtocolError as error:
            self._display.refuse(error.text)
            return True
        if command is not None:
            self._carry_out(command, line)
            self._session.wait_for_space()
        return True

    # ------------------------------------------------------------------------------------------------------- any line

    def _parse(self, line: str) -> Command | None:
        """Return the command in a line; None for a blank line, and for a wrong one after saying why."""
        text = clean(line)
        if not text.strip():
            return None
        try:
            return check(parse_line(text))
        except ProtocolError as error:
            self._display.refuse(error.text)
            return None

    def _check_pasted(self, number: int, text: str) -> Say:
        try:
            post = Say(text)
            check(post)
        except ProtocolError as error:
            self._display.refuse(PASTE_LINE.format(number, error.text))
            raise InputRejectedError from error
        return post

    def _carry_out(self, command: Command, line: str) -> None:
        if isinstance(command, Help):
            self._help(command)
        elif isinstance(command, Reply):
            self._reply(command, line)
        elif isinstance(command, LocalCommand):
            self._carry_out_here(command)
        elif isinstance(command, _WAIT_OFFLINE) or self._session.is_signed_in:
            self._submit([command], FULL.format(count_lines(len(self._session.unsent))))
        else:
            self._display.refuse(OFFLINE.format(clean(line)))

    def _submit(self, commands: Sequence[Command], full: str) -> None:
        try:
            self._session.submit(*commands)
        except TooMuchError as error:
            self._display.refuse(PASTE_TOO_MUCH.format(error))
            raise InputRejectedError from error
        except FullError as error:
            self._display.refuse(full)
            raise InputRejectedError from error

    def _may_lock(self, command: Command | None, line: str) -> bool:
        """Say whether a user may lock a room by mistake with this line, and warn them; not if they repeat it."""
        was_doubted, self._doubted_line = self._doubted_line == line, ""
        if not self._ui.is_interactive or not isinstance(command, Join) or not command.key or was_doubted:
            return False
        if any(row.locked and fold_name(row.room) == fold_name(command.room) for row in self._session.rooms()):
            return False
        self._doubted_line = line
        self._display.refuse(MAY_LOCK.format(command.room))
        return True

    def _may_exit(self) -> bool:
        """Say whether the user may leave: not the first time while lines are unsent, of which they are warned."""
        count = self._session.wait_for_acknowledgements(EXIT_SECONDS)
        was_warned, self._is_warned = self._is_warned, True
        if count and not was_warned:
            them = "it" if count == 1 else "them"
            self._display.refuse(f"{count_lines(count)} unsent. /exit again discards {them}")
        return was_warned or not count

    # --------------------------------------------------------------------------------------- what needs no server

    def _help(self, command: Help) -> None:
        try:
            lines = help_lines(command.command)
        except ProtocolError as error:
            self._display.refuse(error.text)
            return
        for line in lines:
            self._display.tell(line)

    def _carry_out_here(self, command: LocalCommand) -> None:
        match command:
            case Ignore(""):
                names = self._settings.settings.ignored
                self._display.tell(f"you ignore {', '.join(names)}" if names else "you ignore no one")
            case Ignore(name):
                self._ignore(name)
            case Unignore(name):
                self._unignore(name)
            case Mentions():
                self._show_mentions()
            case Notify(level):
                self._notify(level)
            case Colors():
                self._show_colors()
            case Clear():
                self._ui.clear()

    def _show_colors(self) -> None:
        mine = self._session.user.color
        if not self._ui.is_interactive:
            self._display.tell(COLORS_ARE.format(mine, ", ".join(COLORS)))
            return
        self._display.tell(COLOR_IS.format(mine))
        for line in render_chart():
            self._ui.show_line(line)

    def _reply(self, command: Reply, line: str) -> None:
        sender = self._highlights.last_sender
        if sender:
            self._carry_out(Msg(sender, command.text), line)
        else:
            self._display.refuse(NO_SENDER)

    def _ignore(self, name: str) -> None:
        if fold_name(name) == fold_name(self._session.user.name):
            self._display.refuse("you cannot ignore yourself; /ignore NAME hides the messages of another user")
            return
        self._change_settings(lambda settings: settings.with_ignored(name))
        if self._is_ignored(name):
            self._display.tell(f"messages from {name} are hidden; /unignore {name} shows them again")

    def _unignore(self, name: str) -> None:
        if not self._is_ignored(name):
            self._display.refuse(f"you do not ignore {name}; /ignore lists the names that you ignore")
            return
        self._change_settings(lambda settings: settings.without_ignored(name))
        self._display.tell(f"messages from {name} are shown again")

    def _is_ignored(self, name: str) -> bool:
        return fold_name(name) in map(fold_name, self._settings.settings.ignored)

    def _notify(self, level: str) -> None:
        room = self._session.room
        if level:
            self._change_settings(lambda settings: settings.with_level(room, level))
        self._display.tell(_NOTIFY[self._highlights.notify_level(room)].format(room))

    def _change_settings(self, change: Callable[[Settings], Settings]) -> None:
        """Change the settings for this run and the next ones, or show why that is not possible."""
        try:
            self._settings.change(change)
        except SettingsError as error:
            self._display.refuse(str(error))
        settings = self._settings.settings
        self._highlights.set_preferences(settings.ignored, settings.notify)

    def _show_mentions(self) -> None:
        mentions = self._highlights.mentions
        if not mentions:
            self._display.tell(NO_MENTION)
        for room, found in groupby(mentions, key=_room_of):
            self._display.tell(f"in {room}:" if room else "private messages:")
            for notification in found:
                self._display.show(notification)


def check(command: Command) -> Command:
    """Return `command`. Raises ProtocolError if the server would refuse it."""
    if isinstance(command, Say | Me):
        check_text(command.text)
    if not isinstance(command, LocalCommand) and len(command.encode()) > LINE_BYTES:
        raise LineTooLongError(LINE_BYTES, [])
    return command


def _room_of(notification: Notification) -> str:
    return getattr(notification.event, "room", "")
