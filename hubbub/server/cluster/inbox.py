"""The inbox: carries out the requests of other servers: private messages, answers to them, and expulsions."""

from collections.abc import Callable

from hubbub.server.cluster.outbound import Outbound
from hubbub.server.cluster.redis_client import Entries, RedisClient, log_bad_entries
from hubbub.server.cluster.remote_members import RemoteMember, RemoteMembers
from hubbub.server.delivery.actions import DeliverPrivately
from hubbub.server.delivery.delivery import Delivery
from hubbub.server.rooms.room import Member


class Inbox:
    """The stream of requests to this server. For the follower's thread."""

    def __init__(
        self,
        redis_client: RedisClient,
        outbound: Outbound,
        remote_members: RemoteMembers,
        delivery: Delivery,
        expel: Callable[[Member, str], object],
    ) -> None:
        """`expel` is `Membership.expel`."""
        self._redis_client = redis_client
        self._outbound = outbound
        self._remote_members = remote_members
        self._delivery = delivery
        self._expel = expel
        self.stream = redis_client.inbox_key(redis_client.server)
        self.position = "0-0"

    def handle(self, entries: Entries) -> None:
        """Carry out requests; one that cannot be carried out is logged and skipped."""
        for id_, fields in entries:
            self.position = id_
            with log_bad_entries():
                self._carry_out({field.decode(): value for field, value in fields.items()})
        done = [id_ for id_, _ in entries]  # so that no private message stays in Redis
        self._outbound.run(lambda: self._redis_client.execute("XDEL", self.stream, *done))

    def _carry_out(self, request: dict[str, bytes]) -> None:
        do = request["do"].decode()
        if do == "tell":
            self._deliver_private(request)
        elif do == "answer":
            self._outbound.finish_private(int(request["number"]), request["data"])
        elif do == "expel":
            member = self._find(request["token"])
            if member is not None and not isinstance(member, RemoteMember):
                self._expel(member, request["deed"].decode())

    def _deliver_private(self, request: dict[str, bytes]) -> None:
        """Deliver a private message, and answer with the sender's copy or the reason of a refusal."""
        server, number = request["back"].decode(), request["number"]

        def answer(data: bytes) -> None:
            self._outbound.send(server, "do", "answer", "number", number, "data", data)

        member = self._find(request["to"])
        if member is None or isinstance(member, RemoteMember) or member.absent:
            answer(request["refusal"])
        else:
            self._delivery.submit(DeliverPrivately(member, member, request["data"], request["refusal"], answer))

    def _find(self, token: bytes) -> Member | None:
        return self._remote_members.find(bytes.fromhex(token.decode()))
