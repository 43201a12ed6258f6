"""Notifications as JSON Lines, for programs: one object for each event, each on its own line.

    {"event": "say", "room": "ops", "seq": 7, "time": 1763804400123, "name": "bob", "color": "red", "text": "hi",
     "age": "live"}

`event` is the event's word on the wire. Its fields follow, in the order and under the names of `protocol.py`. A number
is a number, all else a string; a time is in milliseconds since 1970.

    event     fields
    say, me   room seq time name color text
    msg       time name color to text
    joined    room time name color
    left      room time name color text
    renamed   room time old color new
    entered   room seq people flags
    room      room people flags
    person    name color room idle
    proven    name
    gap       room first last
    notice    text
    error     code text
    bye       text

`age` is `live`, `missed` for a line from the time when the connection was lost, or `past` for an older one. A message
that mentions the reader or is private has `"mention": true`. Later versions may add events and fields: a reader should
ignore those it does not know.
"""

import json

from hubbub.client.state.notification import Notification
from hubbub.protocol import LAYOUTS, Ack, End, Event, Hello, Ping, Pong, Refused, ServerChallenge, Welcome, clean

# Traffic between client and server that is not shown to users either. For a refused line there is an `error` as well.
_INTERNAL: frozenset[type[Event]] = frozenset({Hello, ServerChallenge, Welcome, End, Ack, Refused, Ping, Pong})


def to_json(notification: Notification) -> str | None:
    """Return the object for a notification, cleaned and without a line end; None for an event that is not shown."""
    kind = type(notification.event)
    if kind in _INTERNAL:
        return None
    layout = LAYOUTS[kind]
    values: dict[str, str | int | bool] = {"event": layout.word}
    for name, value in zip(layout.names, layout.values(notification.event), strict=True):
        values[name] = clean(value) if isinstance(value, str) else value
    values["age"] = notification.age.value
    if notification.mention:
        values["mention"] = True
    return json.dumps(values, ensure_ascii=False)
