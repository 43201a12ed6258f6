"""The journal in an SQLite file: it survives the server, and a batch costs one transaction.

What a room said in one batch is one row, a page with the very bytes that everybody got: twenty times cheaper than a row
for each line (measured on batches of 1,000 lines), and what is read needs no encoding.

The write-ahead log is checkpointed by a thread of its own, which also deletes what is older than it is kept: inside the
delivery thread's commit a checkpoint would hold up everybody.
"""

import contextlib
import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from loguru import logger

from hubbub.server.journal.journal import (
    KEEP_DAYS,
    KEEP_LINES,
    SESSION_SECONDS,
    SESSIONS_STORED,
    JournalError,
    Page,
    SessionRow,
    until_size,
)

MODE = 0o600  # it holds what people said
APPLICATION_ID = 0x43484154  # "CHAT": in the file's header, so that another program's database is told apart
FORMAT = 2  # of the tables below; a later one refuses, or converts, an earlier one
FORMAT_WITHOUT_LOCKS = 1  # which the column `lock` makes one of today
TIDY_SECONDS = 1.0  # that writing gathers before it is checkpointed
PURGE_SECONDS = 3_600.0  # between two looks for what is too old
PURGE_PAGES = 100  # deleted in one step, some milliseconds, between which others write
WAL_BYTES = 67_108_864  # of the write-ahead log; beyond that a checkpoint waits for a moment without writing

_TABLES = """
CREATE TABLE IF NOT EXISTS rooms (key TEXT PRIMARY KEY, name TEXT NOT NULL, purged INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pages (
    room TEXT NOT NULL, last INTEGER NOT NULL, first INTEGER NOT NULL, time INTEGER NOT NULL, lines BLOB NOT NULL,
    PRIMARY KEY (room, last)
);
CREATE TABLE IF NOT EXISTS sessions (
    token_hash BLOB PRIMARY KEY, name TEXT NOT NULL, color TEXT NOT NULL, room TEXT NOT NULL,
    accepted INTEGER NOT NULL, present INTEGER NOT NULL, seen INTEGER NOT NULL, lock TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sessions_by_seen ON sessions (seen);
CREATE TABLE IF NOT EXISTS facts (
    kind TEXT NOT NULL, key TEXT NOT NULL, fact TEXT NOT NULL, PRIMARY KEY (kind, key)
) WITHOUT ROWID;
"""
# REPLACE, since a commit that failed may have been kept all the same, and is then tried again.
_INSERT_PAGE = "INSERT OR REPLACE INTO pages VALUES (?, ?, ?, ?, ?)"
_SELECT_PAGES = (
    "SELECT first, last, time, lines FROM pages"
    " WHERE room = :room AND last > :after AND first <= :upto AND :after < :upto ORDER BY last"
)
_INSERT_SESSION = "INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_SESSION_COLUMNS = 8


class SqliteJournal:
    """A journal in one file. One process at a time may have it."""

    def __init__(
        self,
        path: Path,
        *,
        fsync: bool = False,
        keep_days: float = KEEP_DAYS,
        keep_lines: int = KEEP_LINES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open or make the file. With `fsync` a commit survives a power cut, not only the end of the process.

        Raises JournalError, with what to do, where the file cannot be used.
        """
        self._path = path
        self._keep_seconds = keep_days * 86_400
        self._keep_lines = keep_lines
        self._clock = clock
        self._write_lock = threading.Lock()  # guards the writing connection, one transaction at a time
        self._read_lock = threading.Lock()  # guards the reading connection
        self._table_lock = threading.Lock()  # guards the two tables below
        self._last: dict[str, int] = {}
        self._names: dict[str, str] = {}
        self._written = threading.Event()  # since the last checkpoint
        self._closing = threading.Event()
        with self._refusing():
            self._lock_file = _lock(path)
        try:
            with self._refusing():
                self._open(fsync=fsync)
        except JournalError:
            _unlock(path, self._lock_file)
            raise
        self._tidier = threading.Thread(target=self._keep_tidy, name="journal")  # joined by close
        self._tidier.start()

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise JournalError(
                f"cannot use the journal {self._path}: {reason}; choose another with --journal FILE"
            ) from error

    def _open(self, *, fsync: bool) -> None:
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, MODE))  # SQLite would make it readable for all
        self._writer = self._connect()
        try:
            self._check_header()
            self._convert()
            self._writer.execute("PRAGMA journal_mode = WAL")
            self._writer.execute(f"PRAGMA synchronous = {'FULL' if fsync else 'NORMAL'}")
            self._writer.executescript(f"BEGIN IMMEDIATE; {_TABLES} COMMIT;")
            self._reader = self._connect()
        except BaseException:
            self._writer.close()
            raise
        self._load()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=0.0)
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        return connection

    def _check_header(self) -> None:
        """Refuse a file that is damaged or somebody else's."""
        damage = self._value("PRAGMA quick_check(1)")
        if damage != "ok":
            raise sqlite3.DatabaseError(f"the file is damaged ({damage})")
        owner, version = self._value("PRAGMA application_id"), self._value("PRAGMA user_version")
        if self._value("SELECT count(*) FROM sqlite_master") == 0:
            self._writer.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self._writer.execute(f"PRAGMA user_version = {FORMAT}")
        elif owner != APPLICATION_ID or version not in (FORMAT, FORMAT_WITHOUT_LOCKS):
            raise sqlite3.DatabaseError(f"it is not a journal of this program's format {FORMAT}")

    def _convert(self) -> None:
        if self._value("PRAGMA user_version") == FORMAT_WITHOUT_LOCKS:
            column = "ALTER TABLE sessions ADD COLUMN lock TEXT NOT NULL DEFAULT ''"
            self._writer.executescript(f"BEGIN IMMEDIATE; {column}; PRAGMA user_version = {FORMAT}; COMMIT;")

    def _value(self, statement: str, *values: object) -> Any:
        return self._writer.execute(statement, values).fetchone()[0]

    def _load(self) -> None:
        for key, name, purged in self._writer.execute("SELECT key, name, purged FROM rooms"):
            self._names[key] = name
            self._last[key] = purged
        self._last.update(self._writer.execute("SELECT room, max(last) FROM pages GROUP BY room").fetchall())

    # ------------------------------------------------------------------------------------------------- the interface

    def append(self, pages: Sequence[Page], sessions: Sequence[SessionRow], ended: Sequence[bytes]) -> None:
        """Keep all that is given in one transaction. Raises JournalError; then nothing of it is kept."""
        by_room: dict[str, list[Page]] = {}
        for page in pages:
            by_room.setdefault(page.key, []).append(page)
        rooms = {key: of_room[0].room for key, of_room in by_room.items() if key not in self._names}
        rows = [
            (key, of_room[-1].last, of_room[0].first, of_room[-1].time, b"".join([page.data for page in of_room]))
            for key, of_room in by_room.items()
        ]
        with self._transaction() as writer:
            if rooms:
                writer.executemany("INSERT OR IGNORE INTO rooms VALUES (?, ?, 0)", rooms.items())
            writer.executemany(_INSERT_PAGE, rows)
            if sessions:
                writer.executemany(_INSERT_SESSION, [row[:_SESSION_COLUMNS] for row in sessions])
            if ended:
                writer.executemany("DELETE FROM sessions WHERE token_hash = ?", [(token,) for token in ended])
        with self._table_lock:
            self._names.update(rooms)
            self._last.update((key, of_room[-1].last) for key, of_room in by_room.items())
        self._written.set()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._write_lock:
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                yield self._writer
                self._writer.execute("COMMIT")
            except sqlite3.Error as error:
                if self._writer.in_transaction:
                    with contextlib.suppress(sqlite3.Error):  # it is over either way; the first error is to be told
                        self._writer.execute("ROLLBACK")
                raise JournalError(f"cannot write the journal {self._path}: {error}") from error

    def last_seq(self, key: str) -> int:
        """Return the SEQ of the last line of a room, 0 where there is none."""
        with self._table_lock:
            return self._last.get(key, 0)

    def room_name(self, key: str) -> str | None:
        """Return how a room that has a past is written."""
        with self._table_lock:
            return self._names.get(key)

    def read_pages(self, key: str, after: int, upto: int, size: int) -> list[Page]:
        """Return the lines of a room with after < SEQ <= upto that are still kept, until they have `size` bytes."""
        room = self.room_name(key) or key
        wanted = {"room": key, "after": after, "upto": upto}
        with self._reading() as reader, contextlib.closing(reader.execute(_SELECT_PAGES, wanted)) as rows:
            return until_size((Page(key, room, *row).cut(after, upto) for row in rows), size)

    def find_session(self, token_hash: bytes) -> SessionRow | None:
        """Return the session that may be resumed with this token's hash."""
        oldest = int((self._clock() - SESSION_SECONDS) * 1000)
        rows = self._rows(
            "SELECT * FROM sessions WHERE token_hash = ? AND (present OR seen >= ?)", (token_hash, oldest)
        )
        return _session(rows[0]) if rows else None

    def list_present(self) -> list[SessionRow]:
        """Return the sessions of those whom nobody has seen leave."""
        return [_session(row) for row in self._rows("SELECT * FROM sessions WHERE present", ())]

    def list_facts(self, kind: str) -> dict[str, str]:
        """Return what is kept of this kind."""
        return dict(self._rows("SELECT key, fact FROM facts WHERE kind = ?", (kind,)))

    def store_fact(self, kind: str, key: str, fact: str | None) -> None:
        """Keep a fact instead of the one before, or none. Raises JournalError; then the one before is kept."""
        with self._transaction() as writer:
            if fact is None:
                writer.execute("DELETE FROM facts WHERE kind = ? AND key = ?", (kind, key))
            else:
                writer.execute("INSERT OR REPLACE INTO facts VALUES (?, ?, ?)", (kind, key, fact))
        self._written.set()

    def add_fact(self, kind: str, key: str, fact: str) -> bool:
        """Keep a fact where there is none, and return whether there was none. Raises JournalError."""
        with self._transaction() as writer:
            added = writer.execute("INSERT OR IGNORE INTO facts VALUES (?, ?, ?)", (kind, key, fact)).rowcount == 1
        self._written.set()
        return added

    def _rows(self, statement: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        with self._reading() as reader:
            return reader.execute(statement, values).fetchall()

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._read_lock:
            try:
                yield self._reader
            except sqlite3.Error as error:
                raise JournalError(f"cannot read the journal {self._path}: {error}") from error

    def close(self) -> None:
        """Checkpoint, close the file and give up its lock. Idempotent."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._written.set()
        self._tidier.join()
        with self._write_lock, self._read_lock:
            self._reader.close()
            self._writer.close()  # the last connection to close checkpoints and removes the write-ahead log
        os.close(self._lock_file)

    # ------------------------------------------------------------------------------------------------- keeping tidy

    def _keep_tidy(self) -> None:
        """Checkpoint after writing, and purge now and then; an error is logged and tried again."""
        purge_at = 0.0
        with contextlib.closing(self._connect()) as tidier:
            while True:
                self._written.clear()
                if self._closing.is_set():  # after the clear: close sets this before it sets the other
                    return
                try:
                    if time.monotonic() >= purge_at:
                        purge_at = time.monotonic() + PURGE_SECONDS
                        self.purge_old()
                    self._checkpoint(tidier)
                    self.purge_long()
                except (sqlite3.Error, JournalError, OSError) as error:
                    logger.error("cannot tidy the journal: {}; trying again", error)
                self._written.wait(PURGE_SECONDS)
                self._closing.wait(TIDY_SECONDS)

    def _checkpoint(self, tidier: sqlite3.Connection) -> None:
        tidier.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        with contextlib.suppress(FileNotFoundError):
            if self._path.with_name(self._path.name + "-wal").stat().st_size > WAL_BYTES:
                with self._write_lock:  # little is left to copy, so the delivery thread waits only a moment
                    tidier.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def purge_long(self) -> None:
        """Delete the oldest lines of rooms that hold more than is kept. Any thread."""
        with self._table_lock:
            last = dict(self._last)
        for key, seq in last.items():
            if seq > self._keep_lines:
                self._purge(key, seq - self._keep_lines)

    def purge_old(self) -> None:
        """Delete the lines and the sessions that are older than they are kept. Any thread."""
        oldest = int((self._clock() - self._keep_seconds) * 1000)
        with self._table_lock:
            keys = list(self._last)
        for key in keys:
            last = self.last_seq(key)  # before the look: what comes after it is not old
            # In the order of SEQ the times ascend, so this reads no more than what is to go.
            kept = self._rows(
                "SELECT first FROM pages WHERE room = ? AND time >= ? ORDER BY last LIMIT 1", (key, oldest)
            )
            self._purge(key, kept[0][0] - 1 if kept else last)
        unseen = int((self._clock() - SESSION_SECONDS) * 1000)
        with self._transaction() as writer:
            writer.execute("DELETE FROM sessions WHERE NOT present AND seen < ?", (unseen,))
            writer.execute(
                "DELETE FROM sessions WHERE token_hash IN"
                " (SELECT token_hash FROM sessions ORDER BY present DESC, seen DESC LIMIT -1 OFFSET ?)",
                (SESSIONS_STORED,),
            )

    def _purge(self, key: str, upto: int) -> None:
        """Delete the pages of a room that end by a SEQ, a few at a time, so that writing goes on between."""
        while not self._closing.is_set():
            old = self._rows(
                "SELECT last FROM pages WHERE room = ? AND last <= ? ORDER BY last LIMIT ?", (key, upto, PURGE_PAGES)
            )
            if not old:
                return
            with self._transaction() as writer:
                writer.execute("DELETE FROM pages WHERE room = ? AND last <= ?", (key, old[-1][0]))
                writer.execute("UPDATE rooms SET purged = max(purged, ?) WHERE key = ?", (old[-1][0], key))


def _session(row: tuple[Any, ...]) -> SessionRow:
    kept = SessionRow(*row)
    return kept._replace(present=bool(kept.present))


def _lock(path: Path) -> int:
    """Return a descriptor that keeps every other process from this journal while it is open."""
    lock = _lock_path(path)
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise OSError(0, "another server uses it") from None
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), lock.stat()):
                return descriptor
        os.close(descriptor)  # whoever had it has taken it away meanwhile, and others may lock a new one


def _unlock(path: Path, descriptor: int) -> None:
    """Let others have a journal that is none after all, and leave nothing beside it."""
    with contextlib.suppress(OSError):
        _lock_path(path).unlink(missing_ok=True)  # while it is ours: `_lock` sees to those who have opened it already
    os.close(descriptor)


def _lock_path(path: Path) -> Path:
    return path.with_name(path.name + ".lock")
