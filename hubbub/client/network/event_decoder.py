"""Decoder of the server's bytes into events. For one thread."""

from collections.abc import Iterator

from loguru import logger

from hubbub.protocol import Event, LineDecoder, LineTooLongError, ProtocolError, decode_line, parse_event


class EventDecoder:
    """Decodes what a server sends over all its connections. Lines that are no events are dropped."""

    def __init__(self) -> None:
        self._lines = LineDecoder()
        self._logged: set[str] = set()  # each kind of bad line once: a server could fill the disk otherwise

    def reset(self) -> None:
        """Start with a new connection: the rest of an unfinished line is dropped."""
        self._lines = LineDecoder()

    def feed(self, data: bytes) -> Iterator[Event]:
        """Yield every event that `data` completes. Raises LineTooLongError after the events before a line too long."""
        failure = None
        try:
            lines = self._lines.feed(data)
        except LineTooLongError as error:
            lines, failure = error.lines, error
        for line in lines:
            try:
                yield parse_event(decode_line(line))
            except ProtocolError as error:
                self._log_dropped(error.code)
        if failure is not None:
            raise failure

    def _log_dropped(self, code: str) -> None:
        if code not in self._logged:
            self._logged.add(code)
            logger.info("dropping lines of the server that are no events: {}", code)
