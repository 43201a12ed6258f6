"""The sign-in conversation with the server, the first time and after each lost connection.

    restart -> Hello -> Pass, where it is asked for -> Challenge -> Prove -> Name or Resume -> Welcome

Nothing is sent here: an event comes in, and the commands that answer it come out. The caller holds the session's lock.
"""

from hubbub.protocol import (
    VERSION,
    Challenge,
    Command,
    Error,
    Event,
    Hello,
    Name,
    Pass,
    Prove,
    Resume,
    ServerChallenge,
    Welcome,
    clean,
)

NAME_REFUSALS = frozenset({"name-taken", "name-invalid"})  # another name may be accepted
PASSWORD_REFUSALS = frozenset({"password-wrong", "password-needed"})
NO_CHALLENGE = frozenset({"unknown-command", "name-needed"})  # from an older server, which has no challenges

PASSWORD_NEEDED = "the server asks for a password; give it with --password-file FILE or in CHAT_PASSWORD"  # noqa: S105
NO_CHAT_SERVER = "this is not a chat server; check the host and the port"


class SignInError(Exception):
    """The server does not accept the sign-in; the text says why."""


class NameRefusedError(SignInError):
    """The server does not accept this name; the text says why."""


class PasswordRefusedError(SignInError):
    """The server does not accept this password, or asks for one; the text says why."""


class Login:
    """The state of the sign-in to one server, and what is needed to sign in again."""

    def __init__(self, password: str = "", *, proves_identity: bool = False) -> None:
        self._password = password
        self._proves_identity = proves_identity
        self._user = Name("")
        self._token = ""  # of /resume; a secret
        self._position = ("", 0)  # the room to resume, and the last line of it that was received
        self._is_greeted = False
        self._awaits_challenge = False
        self._is_resuming = False
        self._was_welcomed = False
        self._needs_name = False
        self._is_reported = False  # that the server does not accept this name

    @property
    def user(self) -> Name:
        """The user's name and colour."""
        return self._user

    @property
    def needs_name(self) -> bool:
        """Whether the server accepts only another name."""
        return self._needs_name

    @property
    def awaits_challenge(self) -> bool:
        """Whether the server's challenge is still to come."""
        return self._awaits_challenge

    @property
    def is_resuming(self) -> bool:
        """Whether the last request was to resume a session that the server may still hold."""
        return self._is_resuming

    @property
    def was_welcomed(self) -> bool:
        """Whether a sign-in has succeeded before."""
        return self._was_welcomed

    def rename(self, name: str, color: str) -> None:
        """Use another name, or another colour, from now on."""
        self._user = Name(name, color)

    def restart(self, room: str, seq: int) -> None:
        """Expect a new connection, on which `room` is resumed after its line `seq`."""
        self._position = (room, seq)
        self._is_greeted = self._awaits_challenge = False

    def choose_name(self, command: Name) -> list[Command]:
        """Replace a refused name, in the same colour if the command has none; return what to send now."""
        self._token = ""
        self._is_reported = False
        self.rename(command.name, command.color or self._user.color)
        return [self._request()] if self._is_greeted and not self._awaits_challenge else []

    def receive(self, event: Event, proof: Prove | None = None) -> list[Command]:
        """Return the commands that answer `event`; `proof` is the answer to a challenge.

        Raises SignInError when the server refuses; NameRefusedError only once for each name.
        """
        match event:
            case Error() if not self._is_greeted:
                raise SignInError(clean(event.text))
            case ServerChallenge() | Welcome() if not self._is_greeted:
                raise SignInError(NO_CHAT_SERVER)
            case Hello() if not self._is_greeted:
                return self._answer_greeting(event)
            case ServerChallenge() if self._awaits_challenge:
                return [self._request()] if proof is None else [proof, self._request()]
            case Error(code) if code in NO_CHALLENGE and self._awaits_challenge:
                return [self._request()]
            case Error():
                return self._answer_refusal(event)
            case Welcome():
                self.rename(event.name, event.color)
                self._token = event.token
                self._was_welcomed = True
                self._needs_name = self._is_reported = False
        return []

    def _answer_greeting(self, hello: Hello) -> list[Command]:
        if hello.version != VERSION:
            raise SignInError(
                f"the server speaks version {hello.version} of the protocol, and this client {VERSION}; "
                "update the older one"
            )
        if hello.needs_password and not self._password:
            raise PasswordRefusedError(PASSWORD_NEEDED)
        self._is_greeted = True
        # The password goes only to a server that asks for it.
        commands: list[Command] = [Pass(self._password)] if hello.needs_password else []
        self._awaits_challenge = self._proves_identity
        return [*commands, Challenge() if self._awaits_challenge else self._request()]

    def _request(self) -> Resume | Name:
        """Return the request to resume the session that the server holds, or to sign in with a new one."""
        self._awaits_challenge = False
        self._is_resuming = bool(self._token)
        return Resume(self._token, *self._position) if self._is_resuming else self._user

    def _answer_refusal(self, error: Error) -> list[Command]:
        if self._is_resuming and error.code == "resume-unknown":
            self._token = ""
            return [] if self._needs_name else [self._request()]
        if error.code in NAME_REFUSALS:
            self._needs_name = True
            was_reported, self._is_reported = self._is_reported, True
            if was_reported:
                return []
            raise NameRefusedError(clean(error.text))
        # The server limits wrong passwords; that limit is final only at the first sign-in.
        if error.code in PASSWORD_REFUSALS or (error.code == "too-fast" and not self._was_welcomed):
            raise PasswordRefusedError(clean(error.text))
        raise SignInError(clean(error.text))
