"""Who is this? The questions before the chat. For the main thread."""

from client.console import Console
from client.render import View, render
from color import chart
from protocol import COLORS, Error, ProtocolError, check_color, check_name, clean

NAME_QUESTION = "Username: "
COLOR_QUESTION = "Colour (name or number; Enter lets the server choose): "


class SignInError(Exception):
    """There is no getting in; the text says why."""


def choose_color(text: str) -> str:
    """Return the colour that a person means by its name or its number in the chart. Raises ProtocolError."""
    number = text.strip()
    if number.isascii() and number.isdigit() and number.lstrip("0") and int(number) <= len(COLORS):
        return COLORS[int(number) - 1]
    return check_color(text)


class Questions:
    """Asks on a console, if there is anybody to be asked; each may raise EOFError and StoppedError."""

    def __init__(self, console: Console, *, colored: bool) -> None:
        self._console = console
        self._colored = colored

    def valid_name(self, name: str | None) -> str:
        """Return `name`, or one that is asked for, in the form in which it is sent. Raises SignInError."""
        while True:
            if name is None:
                name = self._console.ask(NAME_QUESTION)
            try:
                return check_name(clean(name).strip())
            except ProtocolError as error:
                name = self.other_name(Error(error.code, error.text))

    def other_name(self, refusal: Error) -> str:
        """Show why a name is refused, and return another. Raises SignInError where there is nobody to choose it."""
        if not self._console.asks:
            raise SignInError(clean(refusal.text))
        self._show(refusal)
        return self.valid_name(None)

    def color(self) -> str:
        """Return the colour that the person chooses; empty leaves it to the server."""
        if not self._console.asks:
            return ""
        for row in chart(colored=self._colored).splitlines():
            self._console.show(row, aside=True)
        while answer := clean(self._console.ask(COLOR_QUESTION)).strip():
            try:
                return choose_color(answer)
            except ProtocolError as error:
                self._show(Error(error.code, error.text))
        return ""

    def _show(self, refusal: Error) -> None:
        line = render(refusal, View(me="", colored=self._colored))
        if line is not None:
            self._console.show(line, aside=True)
