"""What a person types, or a pipe brings: commands are carried out here or go to the server, the rest is said.

For the main thread.
"""

from collections.abc import Callable, Sequence
from itertools import groupby

from hubbub.client.commands import (
    COMMANDS,
    Clear,
    Colors,
    Ignore,
    Local,
    Mentions,
    Notify,
    Reply,
    Unignore,
    understand,
)
from hubbub.client.completion import Completion, complete, wants_rooms
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
    find_command,
    same_key,
)

LEAVE_SECONDS = 2.0  # for acknowledgements that are on their way when the person leaves

OFFLINE = "not connected; try again when the status line says connected"
FULL = "not taken: {} waiting to be sent, and no more can; the line stays below, try again later"
PASTE_FULL = "not taken: {} waiting to be sent, and {} more are too many; they stay below, try again later or send less"
PASTE_TOO_MUCH = "not taken: {}; they stay below, send less"
PASTE_LINE = "nothing of it was sent, because of line {}: {}"
LEAVING = "{} not sent; leave once more to drop what is not sent"
COLORS_ARE = "your colour is {}; /color takes one of {}"
NOBODY = "nobody has told you anything yet; /msg NAME TEXT tells somebody"

_NOTIFY = {
    "all": "every line in {} may ring",
    "mention": "a line in {} rings when it has your name",
    "off": "no line in {} rings",
}

_WAIT_OFFLINE = (Say, Me, Join, Leave, Name, Color)  # the others are questions of the moment


def lines_are(count: int) -> str:
    """Return `1 line is` or `3 lines are`."""
    return "1 line is" if count == 1 else f"{count} lines are"


class InputHandler:
    """Takes what is typed, for one session and one console."""

    def __init__(self, session: Session, highlights: Highlights, settings: SettingsFile, console: Ui) -> None:
        self._session = session
        self._highlights = highlights
        self._settings = settings
        self._ui = console
        self._warned = False  # that leaving drops what is not sent

    # ---------------------------------------------------------------------------------------- lines from an editor

    def handle_line(self, line: str) -> bool:
        """Carry out what was typed, or show why not; False means that the person leaves.

        Waits only for LEAVE_SECONDS, when leaving. Raises InputRejectedError while too much waits already.
        """
        command = self._understand(line)
        if isinstance(command, Exit):
            return not self._leaves()
        self._warned = False
        if command is not None:
            self._carry_out(command)
        return True

    def handle_paste(self, lines: Sequence[str]) -> None:
        """Post all these lines, in order, none as a command; or raise InputRejectedError and post none."""
        texts = [text for line in lines if (text := clean(line)).strip()]
        says = [self._sayable(number, text) for number, text in enumerate(texts, start=1)]
        if says:
            self._put(says, PASTE_FULL.format(lines_are(len(self._session.unsent)), len(says)))

    def status(self) -> Status:
        """Return what the person should know now."""
        return self._session.status()

    def complete(self, before: str) -> Completion:
        """Return how the line that starts with `before` may go on."""
        rooms = self._session.rooms() if wants_rooms(before) else ()
        return complete(before, self._session.people(), rooms)

    # ------------------------------------------------------------------------------- lines that come one after another

    def handle_line_and_wait(self, line: str) -> bool:
        """Carry out a line, and return when the next one can be taken; False means that the line says to leave.

        Raises session.NotSentError, and StoppedError.
        """
        command = self._understand(line)
        if command is not None and not isinstance(command, Exit):
            self._carry_out(command)
            self._session.wait_for_space()
        return not isinstance(command, Exit)

    def send_text_and_wait(self, line: str) -> bool:
        """Say a line, whatever it starts with, and return when the next one can be taken. Raises as the other does."""
        text = clean(line)
        try:
            command = check(Say(text)) if text.strip() else None
        except ProtocolError as error:
            self._session.refuse(error.text)
            return True
        if command is not None:
            self._carry_out(command)
            self._session.wait_for_space()
        return True

    # ------------------------------------------------------------------------------------------------------- any line

    def _understand(self, line: str) -> Command | None:
        """Return what a line means; None for a blank one, and for one that means nothing, after saying why."""
        text = clean(line)
        if not text.strip():
            return None
        try:
            return check(understand(text))
        except ProtocolError as error:
            self._session.refuse(error.text)
            return None

    def _sayable(self, number: int, text: str) -> Say:
        try:
            say = Say(text)
            check(say)
        except ProtocolError as error:
            self._session.refuse(PASTE_LINE.format(number, error.text))
            raise InputRejectedError from error
        return say

    def _carry_out(self, command: Command) -> None:
        if isinstance(command, Help):
            self._help(command)
        elif isinstance(command, Local):
            self._carry_out_here(command)
        elif isinstance(command, _WAIT_OFFLINE) or self._session.inside:
            self._put([command], FULL.format(lines_are(len(self._session.unsent))))
        else:
            self._session.refuse(OFFLINE)

    def _put(self, commands: Sequence[Command], full: str) -> None:
        try:
            self._session.put(*commands)
        except TooMuchError as error:
            self._session.refuse(PASTE_TOO_MUCH.format(error))
            raise InputRejectedError from error
        except FullError as error:
            self._session.refuse(full)
            raise InputRejectedError from error

    def _leaves(self) -> bool:
        """Say whether nothing keeps the person, who is told once of what is not sent."""
        count = self._session.settle(LEAVE_SECONDS)
        warned, self._warned = self._warned, True
        if count and not warned:
            self._session.refuse(LEAVING.format(lines_are(count)))
        return warned or not count

    # --------------------------------------------------------------------------------------- what needs no server

    def _help(self, command: Help) -> None:
        try:
            rows = [find_command(command.command, COMMANDS)] if command.command else list(COMMANDS.values())
        except ProtocolError as error:
            self._session.refuse(error.text)
            return
        width = max(len(row.usage) for row in rows)
        for row in rows:
            self._session.tell(f"{row.usage:{width}}  {row.help}")

    def _carry_out_here(self, command: Local) -> None:
        match command:
            case Reply(text):
                self._reply(text)
            case Ignore(""):
                self._list_ignored()
            case Ignore(name):
                self._ignore(name)
            case Unignore(name):
                self._unignore(name)
            case Mentions():
                self._mentions()
            case Notify(level):
                self._notify(level)
            case Colors():
                self._session.tell(COLORS_ARE.format(self._session.who.color, ", ".join(COLORS)))
            case Clear():
                self._ui.clear()

    def _reply(self, text: str) -> None:
        teller = self._highlights.last_sender
        if teller:
            self._carry_out(Msg(teller, text))
        else:
            self._session.refuse(NOBODY)

    def _list_ignored(self) -> None:
        names = self._settings.settings.ignored
        self._session.tell(f"you ignore {', '.join(names)}" if names else "you ignore nobody")

    def _ignore(self, name: str) -> None:
        if same_key(name) == same_key(self._session.who.name):
            self._session.refuse("that is you; nobody can ignore themselves")
            return
        self._remember(lambda settings: settings.ignoring(name))
        if self._ignores(name):
            self._session.tell(f"you see nothing of {name} any more; /unignore {name} ends it")

    def _unignore(self, name: str) -> None:
        if not self._ignores(name):
            self._session.refuse(f"you do not ignore {name}; /ignore shows whom you do")
            return
        self._remember(lambda settings: settings.hearing(name))
        self._session.tell(f"you see again what {name} says")

    def _ignores(self, name: str) -> bool:
        return same_key(name) in map(same_key, self._settings.settings.ignored)

    def _notify(self, level: str) -> None:
        room = self._session.room
        if level:
            self._remember(lambda settings: settings.notifying(room, level))
        self._session.tell(_NOTIFY[self._highlights.notify_level(room)].format(room))

    def _remember(self, change: Callable[[Settings], Settings]) -> None:
        """Change the settings, now and for the next time, or show why not."""
        try:
            self._settings.change(change)
        except SettingsError as error:
            self._session.refuse(str(error))
        settings = self._settings.settings
        self._highlights.set_preferences(settings.ignored, settings.notify)

    def _mentions(self) -> None:
        mentions = self._highlights.mentions
        if not mentions:
            self._session.tell("nobody has mentioned you yet")
        for room, found in groupby(mentions, key=_room_of):
            self._session.tell(f"in {room}:" if room else "to you alone:")
            for notification in found:
                self._session.show(notification)


def check(command: Command) -> Command:
    """Return `command`. Raises ProtocolError if the server would refuse it."""
    if isinstance(command, Say | Me):
        check_text(command.text)
    if not isinstance(command, Local) and len(command.encode()) > LINE_BYTES:
        raise LineTooLongError(LINE_BYTES, [])
    return command


def _room_of(notification: Notification) -> str:
    return getattr(notification.event, "room", "")
