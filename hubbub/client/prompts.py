"""The prompts for name, password and colour. For the main thread."""

from hubbub.client.commands import choose_color
from hubbub.client.output.render import render_chart, render_error
from hubbub.client.output.ui import Ui
from hubbub.color import display_name
from hubbub.protocol import Name, ProtocolError, check_name, clean, clean_password

NAME_PROMPT = "Choose a name: "
PASSWORD_PROMPT = "Password of the server: "  # noqa: S105  # a prompt
COLOR_PROMPT = "Colour (name or number; Enter keeps {}): "
NO_COLOR = "there is no colour {}; type a name or a number of the chart above"


class Prompts:
    """Asks an interactive user. Each method may raise EOFError and StoppedError."""

    def __init__(self, ui: Ui) -> None:
        self._ui = ui

    def ask_name(self, name: str | None) -> str:
        """Return `name`, or one that is asked for, in the form in which it is sent.

        Raises ProtocolError for a bad name where there is no user to ask.
        """
        while True:
            try:
                return check_name(clean(self._ui.ask(NAME_PROMPT) if name is None else name).strip())
            except ProtocolError as error:
                if not self._ui.is_interactive:
                    raise
                self._complain(error.text)
                name = None

    def ask_color(self, color: str) -> str:
        """Return the colour that the user chooses instead of `color`; empty leaves it."""
        for line in render_chart():
            self._ui.show_line(line)
        while answer := clean(self._ui.ask(COLOR_PROMPT.format(display_name(color)))).strip():
            try:
                return choose_color(answer)
            except ProtocolError:  # whose text lists the names, which the chart above shows
                self._complain(NO_COLOR.format(answer))
        return ""

    def ask_other_name(self, refusal: str, user: Name) -> Name:
        """Show why this name is refused, and return another in the same colour."""
        self._complain(refusal)
        return Name(self.ask_name(None), user.color)

    def ask_password(self, refusal: str) -> str:
        """Return the server's password; `refusal` says why the last one was refused, and is empty the first time."""
        if refusal:
            self._complain(refusal)
        while not (password := clean_password(self._ui.ask(PASSWORD_PROMPT, secret=True))):
            pass
        return password

    def _complain(self, text: str) -> None:
        self._ui.show_line(render_error(clean(text)))
