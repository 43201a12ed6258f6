"""The servers under test: how each is started on a free port of this machine, and how it ends."""

import grp
import os
import pwd
import resource
import shutil
import socket
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PEERS = Path(__file__).with_name("peers")
START_SECONDS = 15.0
STOP_SECONDS = 10.0
CHECK_SECONDS = 0.02  # between two looks whether a server listens
HOST = "127.0.0.1"
UNLIMITED = ("--rate", "0", "--max-clients", "20000", "--max-unnamed", "20000", "--max-rooms", "20000")


@dataclass(frozen=True, slots=True)
class System:
    """A server that can be measured."""

    name: str
    command: Callable[[Path, int], list[str]]  # in a folder, for a port
    dialect: str = "ours"
    tells_port: bool = True  # on standard output, and chooses it itself
    in_flight: int = 500  # how many may be entering at a time; less than what the server lets wait for accept
    program: Callable[[], str | None] = lambda: sys.executable  # None: not installed
    tls: bool = False
    one_room: bool = False
    prod: bytes = b""  # what somebody says every millisecond of a flood to keep it awake


@dataclass(frozen=True, slots=True)
class Running:
    """A server that runs."""

    address: tuple[str, int]
    pid: int


def peers_folder() -> Path:
    """Return where the benchmark keeps the virtual environment of the peers from PyPI."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "chat-room-bench"


def install_peers() -> str:
    """Make the virtual environment of the peers from PyPI; return why that failed, nothing if it did not."""
    folder = peers_folder()
    steps = [
        [sys.executable, "-m", "venv", str(folder)],
        [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "irc", "miniircd"],
    ]
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            return done.stderr.strip() or f"{step[0]} ended with {done.returncode}"
    return ""


def _ours(*options: str) -> Callable[[Path, int], list[str]]:
    return lambda _, __: [sys.executable, str(ROOT / "chat_server.py"), "--port", "0", *UNLIMITED, *options]


def _module(name: str) -> Callable[[Path, int], list[str]]:
    return lambda _, __: [sys.executable, "-m", f"benchmarks.{name}"]


def _many(servers: int) -> Callable[[Path, int], list[str]]:
    return lambda _, __: [sys.executable, "-m", "benchmarks.many_servers", str(servers)]


def _configured(name: str, *command: str) -> Callable[[Path, int], list[str]]:
    """Return a command after which comes the configuration, made from its template."""

    def fill_in(folder: Path, port: int) -> list[str]:
        user = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        group = grp.getgrgid(user.pw_gid).gr_name
        template = string.Template((PEERS / f"{name}.conf.in").read_text(encoding="utf-8"))
        path = folder / f"{name}.conf"
        path.write_text(template.substitute(port=port, folder=folder, user=user.pw_name, group=group), encoding="utf-8")
        return [*command, str(path)]

    return fill_in


def _in_peers(*arguments: str) -> Callable[[Path, int], list[str]]:
    return lambda _, port: [str(peers_folder() / "bin" / "python"), *arguments, str(port)]


def _daemon(name: str) -> Callable[[], str | None]:
    return lambda: shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def _peer_module(name: str) -> Callable[[], str | None]:
    def find() -> str | None:
        found = list(peers_folder().glob(f"lib/python*/site-packages/{name}*"))
        return str(found[0]) if found else None

    return find


# What some want to be told before root may start them.
_RUN_AS_ROOT = ("--runasroot",) if os.getuid() == 0 else ()
_SETUID = ("--setuid", "nobody") if os.getuid() == 0 else ()
SYSTEMS = {
    system.name: system
    for system in (
        System("ours", _ours()),
        System("ours-memory", _ours("--journal", "none")),
        System("ours-tls", _ours("--tls-self-signed"), tls=True),
        *(System(f"cluster-{count}", _many(count), program=_daemon("redis-server")) for count in (1, 2, 4)),
        System("floor", _module("baseline")),
        System(
            "ngircd",
            _configured("ngircd", "ngircd", "--nodaemon", "--config"),
            "irc",
            tells_port=False,
            in_flight=8,  # it lets 10 wait
            program=_daemon("ngircd"),
        ),
        System(
            "inspircd",
            _configured("inspircd", "inspircd", "--nofork", "--nopid", *_RUN_AS_ROOT, "--config"),
            "irc",
            tells_port=False,
            program=_daemon("inspircd"),
            prod=b"PING :prod\r\n",  # with much to read of few it sleeps for up to a second between two reads
        ),
        System(
            "irc",
            _in_peers("-m", "irc.server", "--address", HOST, "--port"),
            "irc",
            tells_port=False,
            in_flight=16,  # it lets 5 wait, and looks at each ten times a second
            program=_peer_module("irc"),
        ),
        System(
            "miniircd",
            _in_peers("-m", "miniircd", *_SETUID, "--listen", HOST, "--ports"),
            "irc",
            tells_port=False,
            in_flight=4,  # it lets 5 wait
            program=_peer_module("miniircd"),
        ),
        System("classic", _module("naive_server"), in_flight=100, one_room=True),
    )
}


def raise_descriptor_limit() -> None:
    """Let this process and those that it starts have as many descriptors as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextmanager
def running(system: System, *options: str) -> Iterator[Running]:
    """Run a server in a folder of its own and end it, whatever happens. Raises RuntimeError when it does not start."""
    with tempfile.TemporaryDirectory() as name, (Path(name) / "errors").open("w+", encoding="utf-8") as errors:
        folder = Path(name)
        port = 0 if system.tells_port else _free_port()
        command = [*system.command(folder, port), *options]
        program = _daemon(command[0])() or command[0]
        process = subprocess.Popen(
            [program, *command[1:]],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if system.tells_port else errors,
            stderr=errors,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            start_new_session=True,  # Ctrl-C is for the benchmark, which ends it
        )
        try:
            if system.tells_port:
                port = _told_port(process)
            elif not _listens(process, port):
                port = 0
            if not port:
                errors.seek(0)
                raise RuntimeError(f"did not start: {last_line(errors.read())}")
            yield Running((HOST, port), process.pid)
        finally:
            stop(process)


def last_line(text: str) -> str:
    """Return the last line of what a program complained of."""
    return (text.strip().splitlines() or ["it did not say why"])[-1]


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process that was started here."""
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        return int(listener.getsockname()[1])


def _told_port(process: subprocess.Popen[bytes]) -> int:
    """Return the port that a server says it listens on; it says so or ends. 0 if it ended."""
    assert process.stdout is not None
    return int(process.stdout.readline().rpartition(b":")[2] or 0)


def _listens(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until a server listens; return False if it ended, or does not."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection((HOST, port), 1.0):
            return True
        time.sleep(CHECK_SECONDS)
    return False
