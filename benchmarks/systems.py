"""The systems under test: how to start each on a free port of this machine, and how to stop it."""

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
POLL_SECONDS = 0.02  # between two attempts to connect to a starting server
HOST = "127.0.0.1"
UNLIMITED = ("--rate", "0", "--max-clients", "20000", "--max-unnamed", "20000", "--max-rooms", "20000")


@dataclass(frozen=True, slots=True)
class System:
    """A server that can be measured."""

    name: str
    command: Callable[[Path, int], list[str]]  # for a folder and a port
    wire_format: str = "hubbub"
    prints_port: bool = True  # it chooses a free port and prints it
    max_pending: int = 500  # clients that sign in at a time; below the server's listen backlog
    find_program: Callable[[], str | None] = lambda: sys.executable  # returns None if it is not installed
    tls: bool = False
    single_room: bool = False
    keep_awake: bytes = b""  # what one client sends every millisecond of a flood


@dataclass(frozen=True, slots=True)
class RunningServer:
    """The address and process of a running server."""

    address: tuple[str, int]
    pid: int


def peers_folder() -> Path:
    """Return the folder of the virtual environment for the peers from PyPI."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "hubbub-bench"


def install_peers() -> str:
    """Install the peers from PyPI into a virtual environment; return the error, empty if there is none."""
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


def _cluster(servers: int) -> Callable[[Path, int], list[str]]:
    return lambda _, __: [sys.executable, "-m", "benchmarks.cluster_servers", str(servers)]


def _configured(name: str, *command: str) -> Callable[[Path, int], list[str]]:
    """Return `command` followed by a configuration file made from a template."""

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


# Options without which some refuse to start as root.
_RUN_AS_ROOT = ("--runasroot",) if os.getuid() == 0 else ()
_SETUID = ("--setuid", "nobody") if os.getuid() == 0 else ()
SYSTEMS = {
    system.name: system
    for system in (
        System("ours", _ours()),
        System("ours-tls", _ours("--tls-self-signed"), tls=True),
        *(System(f"cluster-{count}", _cluster(count), find_program=_daemon("redis-server")) for count in (1, 2, 4)),
        System("baseline", _module("baseline")),
        System(
            "ngircd",
            _configured("ngircd", "ngircd", "--nodaemon", "--config"),
            "irc",
            prints_port=False,
            max_pending=8,  # its backlog is 10
            find_program=_daemon("ngircd"),
        ),
        System(
            "inspircd",
            _configured("inspircd", "inspircd", "--nofork", "--nopid", *_RUN_AS_ROOT, "--config"),
            "irc",
            prints_port=False,
            find_program=_daemon("inspircd"),
            keep_awake=b"PING :awake\r\n",  # with much to read from few clients it sleeps up to 1 s
        ),
        System(
            "irc",
            _in_peers("-m", "irc.server", "--address", HOST, "--port"),
            "irc",
            prints_port=False,
            max_pending=16,  # its backlog is 5; it polls ten times a second
            find_program=_peer_module("irc"),
        ),
        System(
            "miniircd",
            _in_peers("-m", "miniircd", *_SETUID, "--listen", HOST, "--ports"),
            "irc",
            prints_port=False,
            max_pending=4,  # its backlog is 5
            find_program=_peer_module("miniircd"),
        ),
        System("naive", _module("naive_server"), max_pending=100, single_room=True),
    )
}


def raise_descriptor_limit() -> None:
    """Raise the descriptor limit of this process and its children to the hard limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextmanager
def run_server(system: System, *options: str) -> Iterator[RunningServer]:
    """Run a server in a temporary folder until the context ends. Raises RuntimeError if it does not start."""
    with tempfile.TemporaryDirectory() as name, (Path(name) / "errors").open("w+", encoding="utf-8") as errors:
        folder = Path(name)
        port = 0 if system.prints_port else _free_port()
        command = [*system.command(folder, port), *options]
        program = _daemon(command[0])() or command[0]
        process = subprocess.Popen(
            [program, *command[1:]],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if system.prints_port else errors,
            stderr=errors,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            start_new_session=True,  # Ctrl-C reaches only the benchmark, which stops it
        )
        try:
            if system.prints_port:
                port = _read_port(process)
            elif not _wait_until_listening(process, port):
                port = 0
            if not port:
                errors.seek(0)
                raise RuntimeError(f"did not start: {last_line(errors.read())}")
            yield RunningServer((HOST, port), process.pid)
        finally:
            stop(process)


def last_line(text: str) -> str:
    """Return the last line of a program's errors."""
    return (text.strip().splitlines() or ["no error message"])[-1]


def stop(process: subprocess.Popen[bytes]) -> None:
    """Terminate a process, or kill it after STOP_SECONDS."""
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


def _read_port(process: subprocess.Popen[bytes]) -> int:
    """Return the port that a server prints, 0 if it ends without printing one."""
    assert process.stdout is not None
    return int(process.stdout.readline().rpartition(b":")[2] or 0)


def _wait_until_listening(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until a server listens; return False if it ends or does not listen within START_SECONDS."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection((HOST, port), 1.0):
            return True
        time.sleep(POLL_SECONDS)
    return False
