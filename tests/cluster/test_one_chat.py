"""Lines, names, messages and moderation over the servers of one chat."""

import threading

from hubbub.server.server import ChatServer
from testing.proofs import sign_in_as_owner
from testing.waiting import eventually
from testing.wire_client import WireClient
from tests.cluster.servers import cluster, connect_seen_by, list_members, needs_redis

pytestmark = needs_redis


def test_lines_have_one_order_and_the_same_bytes(pair: tuple[WireClient, WireClient]) -> None:
    """At every server, also if two members send at the same time."""
    for _ in range(50):
        for wire in pair:
            wire.send("a", "/me b", "c")
    heard = [[line for line in wire.read_until("/(say|me) lobby 300 ") if "lobby" in line] for wire in pair]
    said = [[line for line in lines if line.startswith(("/say", "/me"))] for lines in heard]
    assert said[0] == said[1]
    assert [int(line.split()[2]) for line in said[0]] == list(range(1, 301))


def test_who_and_list_show_remote_members(pair: tuple[WireClient, WireClient]) -> None:
    """With the same counts at every server."""
    alice, bob = pair
    bob.send("/join ops")
    alice.read_until("/left lobby .* bob green leave")
    alice.send("/list", "/who ops")
    assert alice.read_until("/end who") == [
        *("/room lobby 1 -", "/room ops 1 -", "/end list"),
        *("/person bob green ops 0", "/end who"),
    ]


def test_join_shows_the_history_of_another_server(pair: tuple[WireClient, WireClient]) -> None:
    """The last lines of a room that no member of this server was in."""
    alice, bob = pair
    bob.send("/join ops", "one", "two", "/leave")
    bob.read_until("/entered lobby")
    alice.send("/join ops", "/history")
    assert [line.split()[-1] for line in alice.read_until("/end history") if line.startswith("/say")] == [
        "one",
        "two",
    ] * 2


def test_name_has_one_member_in_the_chat(pair: tuple[WireClient, WireClient], servers: list[ChatServer]) -> None:
    """Also a confusable one; a released name is free at every server."""
    alice, bob = pair
    bob.send("/name alice")
    assert bob.read_match("/error").startswith("/error name-taken")
    with WireClient(servers[1].address) as other:
        other.send("/name аlice")
        assert other.read_match("/error").startswith("/error name-taken")
        alice.send("/name carol")
        bob.read_until("/renamed lobby .* alice cyan carol")
        other.send("/name alice")
        other.read_until("/welcome alice")


def test_concurrent_sign_ins_with_one_name(servers: list[ChatServer]) -> None:
    """One of them gets it, at whichever server."""
    wires = [WireClient(servers[number % 2].address) for number in range(20)]
    start = threading.Barrier(len(wires))
    answers: list[str] = []

    def ask(wire: WireClient) -> None:
        start.wait()
        wire.send("/name same")
        answers.append(wire.read_match("/(welcome|error)").split()[1])

    threads = [threading.Thread(target=ask, args=(wire,)) for wire in wires]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for wire in wires:
        wire.socket.close()
    assert sorted(answers) == ["name-taken"] * 19 + ["same"]


def test_private_message_to_a_remote_member(pair: tuple[WireClient, WireClient]) -> None:
    """The sender gets the same line as a copy."""
    alice, bob = pair
    bob.send("/msg alice psst")
    assert alice.read_match("/msg") == bob.read_match("/msg")
    bob.send("/msg nobody psst")
    assert bob.read_match("/error").startswith("/error no-such-person")


def test_locked_room_is_locked_at_every_server(pair: tuple[WireClient, WireClient]) -> None:
    """From its first member on."""
    alice, bob = pair
    alice.send("/join den key")
    alice.read_until("/entered den 0 1 locked")
    bob.read_until("/left lobby .* alice")
    bob.send("/join den", "/who den", "/join den wrong")
    assert [bob.read_match("/error").split()[1] for _ in range(3)] == ["room-locked"] * 3
    bob.send("/join den key")
    bob.read_until("/entered den 0 2 locked")


def test_moderation_of_remote_members(url: str) -> None:
    """Kick, mute and ban work as on the own server."""
    with cluster(url, url, operators=["op"]) as servers, WireClient(servers[0].address) as op:
        sign_in_as_owner(op, "op", b"the secret of op")
        with (
            connect_seen_by(op, servers[1].address, "bob") as bob,
            connect_seen_by(op, servers[1].address, "carl") as carl,
        ):
            op.send("/mute bob 1h")
            bob.read_until("/notice bob was muted by op until ")
            bob.send("hi")
            assert bob.read_match("/error").startswith("/error not-allowed you are muted by op")
            op.send("/kick carl go")
            assert carl.read_to_end()[-1] == "/bye you were kicked by op: go"
            bob.read_until("/notice carl was kicked by op: go")
            op.send("/ban bob 1h")
            assert bob.read_to_end()[-1].startswith("/bye you were banned by op until ")
            op.read_until("/left lobby .* bob green kicked")
        for server in servers:
            with WireClient(server.address) as again:
                again.send("/name bob")
                assert again.read_match("/error").startswith("/error not-allowed bob is banned by op")


def test_owned_name_at_every_server(servers: list[ChatServer]) -> None:
    """The owner is known at all servers, also while they are away."""
    with WireClient(servers[0].address) as alice, WireClient(servers[1].address, "bob") as bob:
        sign_in_as_owner(alice, "alice", b"the secret of alice")
        bob.read_until("/joined lobby .* alice")
        assert eventually(lambda: "/proven alice" in list_members(bob))  # the event comes a moment after the member
        alice.send("/exit")
        bob.read_until("/left lobby .* alice \\S+ exit")
        bob.send("/name alice")
        assert bob.read_match("/error") == (
            "/error name-taken alice belongs to someone else. "
            "If it is yours, copy your secret file to this machine (see docs/client.md)"
        )


def test_last_line_comes_before_the_leave(pair: tuple[WireClient, WireClient], servers: list[ChatServer]) -> None:
    """At the own server, where the line comes back from Redis, and at the other."""
    for _ in range(5):
        with WireClient(servers[0].address, "carl") as carl:
            carl.send("bye", "/exit")
            for wire in pair:
                seen = wire.read_until("/left lobby .* carl")
                assert [line.split()[0] for line in seen] == ["/joined", "/say", "/left"]


def test_rename_and_sign_in_with_one_name_at_once(
    pair: tuple[WireClient, WireClient], servers: list[ChatServer]
) -> None:
    """One of them gets it, though lines under the old name are still to be stored."""
    alice, _ = pair
    for number in range(10):
        with WireClient(servers[1].address) as other:
            alice.send("said under the old one", f"/name wanted{number}")
            other.send(f"/name wanted{number}")
            has_it = other.read_match("/welcome|/error").startswith("/welcome")
            answer = alice.read_match(f"/renamed .* wanted{number}|/error name-taken")
            assert answer.startswith("/renamed") is not has_it


def test_concurrent_mutes_of_one_name(url: str) -> None:
    """The same one holds at every server."""
    with cluster(url, url, operators=["op", "po"]) as servers, WireClient(servers[0].address) as op:
        sign_in_as_owner(op, "op", b"the secret of op")
        with WireClient(servers[1].address) as po:
            sign_in_as_owner(po, "po", b"the secret of po")
            op.read_until("/joined .* po")
            for number in range(10):
                op.send(f"/mute dora{number} 1h")
                po.send(f"/mute dora{number} 2h")

        def listed(server: ChatServer) -> list[str]:
            return list(server._context.moderation.list_restrictions())

        assert eventually(lambda: len(listed(servers[0])) == 10 and listed(servers[0]) == listed(servers[1]))


def test_unlocked_room_leaves_no_lines_at_another_server(
    pair: tuple[WireClient, WireClient], servers: list[ChatServer]
) -> None:
    """Also if another server removed the key."""
    alice, bob = pair
    bob.send("/join den key", "the secret")
    bob.read_until("/say den 1 .* the secret")  # it is in the memory of that server
    bob.send("/leave")
    bob.read_until("/entered lobby")
    journal = servers[0]._context.journal
    journal._clock = lambda: 1e10  # type: ignore[attr-defined]  # much later
    journal.purge()  # type: ignore[attr-defined]
    alice.send("/join den")
    alice.read_until("/entered den 1 1 -")
    alice.send("/leave")
    assert eventually(lambda: servers[1]._context.room_keys.find("den") is None)
    bob.send("/join den", "/ping x")
    assert "/gap den 1 1" in (seen := bob.read_until("/pong x"))
    assert not any("secret" in line for line in seen)


def test_private_message_to_a_stalled_remote_member(url: str) -> None:
    """The sender gets no copy, but an error."""
    # A short lease is renewed late on a busy machine; then the server says of a message that it may not have arrived.
    with (
        cluster(url, url, lease_seconds=60.0) as servers,
        WireClient(servers[0].address, "alice") as alice,
        connect_seen_by(alice, servers[1].address, "bob") as bob,
    ):
        answers = []
        for _ in range(25):  # more than the socket and the server hold
            alice.send(*[f"/msg bob {'x' * 1_900}"] * 100)
            answers += alice.sync()
        alice.send("/msg bob enough")
        while len(answers) < 2_501:
            answers.append(alice.read_line())
        copies = sum(line.startswith("/msg") for line in answers)
        arrived = sum(line.startswith("/msg") for line in bob.sync())
        assert arrived == copies < 2_500, answers[-3:]
        assert sum(line.startswith("/error too-fast") for line in answers) == 2_501 - copies
