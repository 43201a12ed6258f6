"""How to get in again after a lost connection: as whom, and with which words. Nothing is sent here."""

from hubbub.client.network.connection import UselessError
from hubbub.protocol import Error, Name, Resume, Welcome

NAME_REFUSALS = frozenset({"name-taken", "name-invalid"})  # another name may do; no other refusal has a remedy here
PASSWORD_REFUSALS = frozenset({"password-wrong", "password-needed"})


class Login:
    """Remembers who we are to the server; whoever shares it brings the lock."""

    def __init__(self) -> None:
        self._name = Name("")
        self._token = ""  # of /resume; a secret
        self._knock: Resume | Name = self._name
        self._nameless = False
        self._told = False  # that this name does not get us in

    @property
    def who(self) -> Name:
        """Who we are."""
        return self._name

    @property
    def nameless(self) -> bool:
        """Whether only another name gets us in."""
        return self._nameless

    @property
    def resumed(self) -> bool:
        """Whether we last knocked as somebody whom the server knows."""
        return isinstance(self._knock, Resume)

    def welcome(self, event: Welcome) -> None:
        """Be in."""
        self.rename(event.name, event.color)
        self._token = event.token
        self._nameless = self._told = False

    def rename(self, name: str, color: str) -> None:
        """Have another name, or another colour."""
        self._name = Name(name, color)

    def choose(self, command: Name) -> None:
        """Be somebody new from now on; without a colour in the same one as before."""
        self._token = ""
        self._told = False
        self.rename(command.name, command.color or self._name.color)

    def knock(self, room: str, seq: int) -> Resume | Name:
        """Return what to say, having `room` up to line `seq`."""
        self._knock = Resume(self._token, room, seq) if self._token else self._name
        return self._knock

    def refuse(self, error: Error) -> bool:
        """Look for another way in; return whether the person must be told that there is none under this name.

        If we are not `nameless` after it, knocking again may help. Raises UselessError where only time does.
        """
        if self.resumed and error.code == "resume-unknown":
            self._token = ""
            return False
        if error.code not in NAME_REFUSALS:
            raise UselessError(error.text)
        self._nameless = True
        told, self._told = self._told, True
        return not told
