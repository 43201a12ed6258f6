"""The house: what all sessions of a server share, and how it is put together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event as Flag

from server.company import Company, Parts
from server.delivery import Delivery
from server.doorman import Doorman
from server.gate import Gate
from server.journal import Journal
from server.limits import Limits, Repeats
from server.locks import Locks
from server.names import Names
from server.order import Guest, Order
from server.others import Others
from server.password import Password
from server.registry import Registry


@dataclass(frozen=True, slots=True)
class House:
    """What all sessions share. Its parts are for any thread; whoever runs the server starts and stops them."""

    gate: Gate
    registry: Registry
    delivery: Delivery
    journal: Journal
    stopping: Flag
    limits: Limits
    repeats: Repeats
    password: Password | None  # None: anybody may come in
    doorman: Doorman
    order: Order
    guests: Callable[[], Sequence[Guest]]  # all that there are, with or without a name
    locks: Locks
    names: Names
    others: Others


def build(
    company: Company,
    limits: Limits,
    *,
    password: Password | None,
    operators: Sequence[str],
    guests: Callable[[], Sequence[Guest]],
    stopping: Flag,
    on_failure: Callable[[], None],
) -> House:
    """Put a house together; nothing is started or read yet. `on_failure` is called if the delivery thread dies."""
    journal = company.journal
    delivery = Delivery(journal, company.keeper, on_failure=on_failure)
    names = Names(journal, kept=operators)  # for who came by the name of an operator could keep order
    order, locks = Order(journal, operators), Locks(journal)
    registry = company.registry(Parts(delivery, limits, names, order, locks, guests))
    return House(
        gate=Gate(limits, refuse_banned=order.refuse_banned_address),
        registry=registry,
        delivery=delivery,
        journal=journal,
        stopping=stopping,
        limits=limits,
        repeats=Repeats(),
        password=password,
        doorman=Doorman(registry, delivery, locks),
        order=order,
        guests=guests,
        locks=locks,
        names=names,
        others=company,
    )
