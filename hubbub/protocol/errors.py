"""The error of the protocol: a line that cannot be carried out."""


class ProtocolError(Exception):
    """A line that cannot be carried out. Programs read `code`; people read `text`, which says what to do."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text
