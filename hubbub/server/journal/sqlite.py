"""The journal in an SQLite file: it survives a restart, and each batch costs one transaction.

All lines of one room in a batch are a few rows: pages with the bytes that the members receive. This is twenty times
cheaper than a row for each line (measured on batches of 1,000 lines), and history needs no encoding.
"""

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from loguru import logger

from hubbub.protocol import fold_name
from hubbub.server.journal.database import Database
from hubbub.server.journal.journal import (
    KEEP_DAYS,
    KEEP_LINES,
    SESSION_SECONDS,
    SESSIONS_STORED,
    DamagedError,
    JournalError,
    Page,
    SessionRow,
    until_size,
)

PAGE_BYTES = 65_536  # with which a page is stored; pages are read whole, and held until they are sent
MAINTENANCE_SECONDS = 1.0  # between two checkpoints, while writes gather
PURGE_SECONDS = 3_600.0  # between two searches for expired lines and sessions
ROOMS_CACHED = 20_000  # of which the last SEQ is in memory, 3 MB
FORGET_ROOMS = 100  # in one transaction
PURGE_PAGES = 100  # deleted in one transaction of some milliseconds, so that other writes come between

# REPLACE: a commit that failed may be stored nevertheless, and is repeated.
_INSERT_PAGE = "INSERT OR REPLACE INTO pages VALUES (?, ?, ?, ?, ?)"
_SELECT_PAGES = (
    "SELECT first, last, time, lines FROM pages"
    " WHERE room = :room AND last > :after AND first <= :upto AND :after < :upto ORDER BY last"
)
_SELECT_ROOM = (
    "SELECT (SELECT name FROM rooms WHERE key = :key), max("
    "coalesce((SELECT purged FROM rooms WHERE key = :key), 0),"
    "coalesce((SELECT max(last) FROM pages WHERE room = :key), 0))"
)
_IS_EMPTY = "NOT EXISTS (SELECT 1 FROM pages WHERE room = rooms.key)"
_SELECT_EMPTY = f"SELECT key FROM rooms WHERE purged > 0 AND key > ? AND {_IS_EMPTY} ORDER BY key LIMIT ?"  # noqa: S608
_DELETE_EMPTY = f"DELETE FROM rooms WHERE key = ? AND {_IS_EMPTY}"  # noqa: S608
_INSERT_SESSION = "INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


class SqliteJournal:
    """A journal in one file, which one process at a time may use. A thread of its own checkpoints and purges it."""

    def __init__(
        self,
        path: Path,
        *,
        fsync: bool = False,
        keep_days: float = KEEP_DAYS,
        keep_lines: int = KEEP_LINES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open or create the file. With `fsync` a commit survives a power failure, not only the end of the process.

        `clock` gives seconds since 1970. Raises JournalError, with what to do, if the file cannot be used.
        """
        self._database = Database(path, fsync=fsync)
        self._keep_seconds = keep_days * 86_400
        self._keep_lines = keep_lines
        self._clock = clock
        self._lock = threading.Lock()  # guards the tables below
        self._rooms: dict[str, tuple[str | None, int]] = {}  # the name and the last SEQ, by room key; only a cache
        self._long_rooms: dict[str, int] = {}  # the last SEQ, by the key of rooms that may have too many lines
        self._damaged_rooms: set[str] = set()  # keys; the log tells once of each
        self._purge_lock = threading.Lock()  # guards the next, and is held while the excess is purged
        self._has_searched = False  # for rooms with too many lines
        self._written = threading.Event()  # since the last checkpoint
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._maintain, name="journal")  # joined by close
        self._thread.start()

    # ------------------------------------------------------------------------------------------------- the interface

    def append(self, pages: Sequence[Page], sessions: Sequence[SessionRow], ended: Sequence[bytes]) -> None:
        """Store all arguments in one transaction. Raises JournalError; then nothing is stored."""
        by_room: dict[str, list[Page]] = {}
        for page in pages:
            by_room.setdefault(page.key, []).append(page)
        rooms = {key: of_room[0].room for key, of_room in by_room.items()}
        rows = [
            (key, some[-1].last, some[0].first, some[-1].time, b"".join([page.data for page in some]))
            for key, of_room in by_room.items()
            for some in _group(of_room)
        ]
        with self._database.transaction() as writer:
            writer.executemany("INSERT OR IGNORE INTO rooms VALUES (?, ?, 0)", rooms.items())
            writer.executemany(_INSERT_PAGE, rows)
            if sessions:
                writer.executemany(_INSERT_SESSION, sessions)
            if ended:
                writer.executemany("DELETE FROM sessions WHERE token_hash = ?", [(token,) for token in ended])
        with self._lock:
            for key, of_room in by_room.items():
                name, _ = self._rooms.pop(key, (None, 0))
                if name is not None:  # otherwise the file knows the spelling
                    self._rooms[key] = name, of_room[-1].last
                if of_room[-1].last > self._keep_lines:
                    self._long_rooms[key] = of_room[-1].last
        self._written.set()

    def check(self) -> None:
        """Raise JournalError if a file of the journal was deleted, replaced or truncated."""
        self._database.check_files()

    def last_seq(self, key: str) -> int:
        """Return the SEQ of the last line of a room, or 0."""
        return self._find_room(key)[1]

    def room_name(self, key: str) -> str | None:
        """Return the spelling of a room that has history."""
        return self._find_room(key)[0]

    def _find_room(self, key: str) -> tuple[str | None, int]:
        with self._lock:  # while it is read, so that an older SEQ does not replace that of `append`
            if key not in self._rooms:
                self._rooms[key] = self._database.find(_SELECT_ROOM, {"key": key})
                if len(self._rooms) > ROOMS_CACHED:
                    del self._rooms[next(iter(self._rooms))]
            return self._rooms[key]

    def read_pages(self, key: str, after: int, upto: int, size: int) -> list[Page]:
        """Return the stored lines of a room with after < SEQ <= upto, until their pages have `size` bytes.

        Damaged pages are left out.
        """
        room = self.room_name(key) or key
        wanted = {"room": key, "after": after, "upto": upto}
        try:
            with self._database.reading() as reader, contextlib.closing(reader.execute(_SELECT_PAGES, wanted)) as rows:
                return until_size((_page(key, room, row).cut(after, upto) for row in rows), size)
        except DamagedError as error:
            if key not in self._damaged_rooms:
                self._damaged_rooms.add(key)
                logger.error("{}; the damaged lines of {!r} are left out", error, key)
            return until_size(self._read_intact(key, room, after, upto), size)

    def _read_intact(self, key: str, room: str, after: int, upto: int) -> Iterator[Page]:
        """Yield the pages that are not damaged; each is read on its own."""
        skipped = 1  # SEQs, where the index is damaged; doubled until it can be read
        while after < upto:
            try:
                [(last,)] = self._read_rows("SELECT min(last) FROM pages WHERE room = ? AND last > ?", key, after)
            except DamagedError:
                after, skipped = after + skipped, skipped * 2
                continue
            if last is None:
                return
            if (page := self._read_intact_page(key, room, last)) and page.first <= upto:
                yield page.cut(after, upto)
            after, skipped = last, 1

    def _read_intact_page(self, key: str, room: str, last: int) -> Page | None:
        with contextlib.suppress(DamagedError):
            rows = self._read_rows("SELECT first, last, time, lines FROM pages WHERE room = ? AND last = ?", key, last)
            return _page(key, room, rows[0]) if rows else None
        return None

    def find_session(self, token_hash: bytes) -> SessionRow | None:
        """Return the session that can be resumed with the token that has this hash."""
        oldest = int((self._clock() - SESSION_SECONDS) * 1000)
        rows = self._read_rows(
            "SELECT * FROM sessions WHERE token_hash = ? AND (present OR seen >= ?)", token_hash, oldest
        )
        return _session(rows[0]) if rows else None

    def list_present(self) -> list[SessionRow]:
        """Return the sessions of members who have not left."""
        return [_session(row) for row in self._read_rows("SELECT * FROM sessions WHERE present")]

    def list_facts(self, kind: str) -> dict[str, str]:
        """Return the facts of a kind, by key."""
        return dict(self._read_rows("SELECT key, fact FROM facts WHERE kind = ?", kind))

    def store_fact(self, kind: str, key: str, fact: str | None) -> None:
        """Replace a fact, or delete it with None. Raises JournalError; then the previous fact stays."""
        with self._database.transaction() as writer:
            if fact is None:
                writer.execute("DELETE FROM facts WHERE kind = ? AND key = ?", (kind, key))
            else:
                writer.execute("INSERT OR REPLACE INTO facts VALUES (?, ?, ?)", (kind, key, fact))
        self._written.set()

    def add_fact(self, kind: str, key: str, fact: str) -> bool:
        """Store a fact unless its key has one; return whether it was stored. Raises JournalError."""
        with self._database.transaction() as writer:
            added = writer.execute("INSERT OR IGNORE INTO facts VALUES (?, ?, ?)", (kind, key, fact)).rowcount == 1
        self._written.set()
        return added

    def close(self) -> None:
        """Checkpoint, close the file and release its lock. Idempotent."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._written.set()
        self._thread.join()
        self._database.close()

    def _read_rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._database.reading() as reader:
            return reader.execute(statement, values).fetchall()

    # ------------------------------------------------------------------------------------------------- maintenance

    def _maintain(self) -> None:
        """Checkpoint after writes, and purge every PURGE_SECONDS; log an error and repeat."""
        purge_at = 0.0
        while True:
            self._written.clear()
            if self._closing.is_set():  # checked after the clear: `close` sets this event before the other
                return
            try:
                if time.monotonic() >= purge_at:
                    purge_at = time.monotonic() + PURGE_SECONDS
                    self.purge_expired()
                self._database.checkpoint()
                self.purge_excess()
            except (sqlite3.Error, JournalError, OSError) as error:
                logger.error("cannot maintain the journal: {}; trying again", error)
            except Exception:  # noqa: BLE001  # a bug must not end the thread: the write-ahead log would grow forever
                logger.exception("the maintenance of the journal failed; trying again")
            self._written.wait(PURGE_SECONDS)
            self._closing.wait(MAINTENANCE_SECONDS)

    def purge_excess(self) -> None:
        """Delete the oldest lines of rooms that have more than the limit. Any thread."""
        with self._purge_lock:
            if not self._has_searched:
                self._find_long_rooms()
                self._has_searched = True
            with self._lock:
                long_rooms, self._long_rooms = self._long_rooms, {}
            for key, seq in long_rooms.items():
                self._purge(key, seq - self._keep_lines)

    def _find_long_rooms(self) -> None:
        """Find the rooms that have too many lines since the limit was higher. Once, as it reads an index."""
        found = self._read_rows(
            "SELECT room, max(last) FROM pages GROUP BY room HAVING max(last) - min(last) >= ?", self._keep_lines
        )
        with self._lock:
            self._long_rooms = {**dict(found), **self._long_rooms}

    def purge_expired(self) -> None:
        """Delete lines and sessions that are too old, and the oldest of too many sessions. Any thread."""
        oldest = int((self._clock() - self._keep_seconds) * 1000)
        while not self._closing.is_set():
            old = self._read_rows(
                "SELECT room, last FROM pages WHERE time < ? ORDER BY time LIMIT ?", oldest, PURGE_PAGES
            )
            if not old:
                break
            for key, last in dict(sorted(old)).items():  # the highest SEQ of each room
                self._purge(key, last)
        self._purge_sessions()
        self._forget_rooms()

    def _forget_rooms(self) -> None:
        """Delete the rooms that have no line any more, unless a session is there: its client knows the SEQ."""
        in_use = {fold_name(room) for (room,) in self._read_rows("SELECT DISTINCT room FROM sessions")}
        key = ""
        while not self._closing.is_set():
            empty = [key for (key,) in self._read_rows(_SELECT_EMPTY, key, FORGET_ROOMS)]
            if not empty:
                return
            key = empty[-1]
            forgotten = [key for key in empty if key not in in_use]
            with self._database.transaction() as writer:
                writer.executemany(_DELETE_EMPTY, [(key,) for key in forgotten])
            with self._lock:
                for forgotten_key in forgotten:
                    self._rooms.pop(forgotten_key, None)

    def _purge_sessions(self) -> None:
        oldest_session = int((self._clock() - SESSION_SECONDS) * 1000)
        with self._database.transaction() as writer:
            writer.execute("DELETE FROM sessions WHERE NOT present AND seen < ?", (oldest_session,))
            writer.execute(
                "DELETE FROM sessions WHERE token_hash IN"
                " (SELECT token_hash FROM sessions ORDER BY present DESC, seen DESC LIMIT -1 OFFSET ?)",
                (SESSIONS_STORED,),
            )

    def _purge(self, key: str, upto: int) -> None:
        """Delete the pages of a room up to a SEQ, a few at a time, so that other writes come between."""
        while not self._closing.is_set():
            old = self._read_rows(
                "SELECT last FROM pages WHERE room = ? AND last <= ? ORDER BY last LIMIT ?", key, upto, PURGE_PAGES
            )
            if not old:
                return
            with self._database.transaction() as writer:
                writer.execute("DELETE FROM pages WHERE room = ? AND last <= ?", (key, old[-1][0]))
                writer.execute("UPDATE rooms SET purged = max(purged, ?) WHERE key = ?", (old[-1][0], key))


def _page(key: str, room: str, row: tuple[Any, ...]) -> Page:
    """Return the page of a row. Raises DamagedError."""
    page = Page(key, room, *row)
    if not page.is_intact():
        raise DamagedError("a page has not as many lines as it should have")
    return page


def _group(pages: Sequence[Page]) -> Iterator[list[Page]]:
    """Yield consecutive pages of a room, as many at a time as have PAGE_BYTES."""
    group: list[Page] = []
    size = 0
    for page in pages:
        group.append(page)
        size += len(page.data)
        if size >= PAGE_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _session(row: tuple[Any, ...]) -> SessionRow:
    stored = SessionRow(*row)
    return stored._replace(present=bool(stored.present))
