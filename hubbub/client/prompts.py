"""Who is this? The questions before the chat. For the main thread."""

from hubbub.client.output.render import render_error
from hubbub.client.output.styled_line import Span, StyledLine
from hubbub.client.output.ui import Ui
from hubbub.color import chart_rows
from hubbub.protocol import COLORS, Name, ProtocolError, check_color, check_name, clean, tidy_password

NAME_QUESTION = "Username: "
PASSWORD_QUESTION = "Password of the server: "  # noqa: S105  # a question
COLOR_QUESTION = "Colour (name or number; Enter lets the server choose): "


def choose_color(text: str) -> str:
    """Return the colour that a person means by its name or its number in the chart. Raises ProtocolError."""
    number = text.strip()
    if number.isascii() and number.isdigit() and number.lstrip("0") and int(number) <= len(COLORS):
        return COLORS[int(number) - 1]
    return check_color(text)


class Prompts:
    """Asks on a console, if there is anybody to be asked; each may raise EOFError and StoppedError."""

    def __init__(self, console: Ui) -> None:
        self._ui = console

    def who(self, name: str | None, color: str | None) -> Name:
        """Return who the person is, asking for what is None. Raises ProtocolError where there is nobody to ask."""
        checked = self._name(name)
        return Name(checked, self._color() if color is None else color)

    def other(self, refusal: str, who: Name) -> Name:
        """Show why this name is refused, and return another in the same colour."""
        self._complain(refusal)
        return Name(self._name(None), who.color)

    def password(self, refusal: str) -> str:
        """Return the server's password; `refusal` tells why the one before did not do, and is empty the first time."""
        if refusal:
            self._complain(refusal)
        while not (password := tidy_password(self._ui.ask(PASSWORD_QUESTION, secret=True))):
            pass
        return password

    def _name(self, name: str | None) -> str:
        """Return `name`, or one that is asked for, in the form in which it is sent."""
        while True:
            try:
                return check_name(clean(self._ui.ask(NAME_QUESTION) if name is None else name).strip())
            except ProtocolError as error:
                if not self._ui.is_interactive:
                    raise
                self._complain(error.text)
                name = None

    def _color(self) -> str:
        """Return the colour that the person chooses; empty leaves it to the server."""
        if not self._ui.is_interactive:
            return ""
        for pieces in chart_rows():
            self._ui.show_line(StyledLine(body=tuple(Span(*piece) for piece in pieces)))
        while answer := clean(self._ui.ask(COLOR_QUESTION)).strip():
            try:
                return choose_color(answer)
            except ProtocolError as error:
                self._complain(error.text)
        return ""

    def _complain(self, text: str) -> None:
        self._ui.show_line(render_error(clean(text)))
