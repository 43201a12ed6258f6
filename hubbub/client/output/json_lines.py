"""What happens as JSON, for programs: one object for each event, each on a line of its own.

    {"event": "say", "room": "ops", "seq": 7, "time": 1763804400123, "name": "bob", "color": "red", "text": "hi",
     "age": "live"}

`event` is the word of the event on the wire, and what follows are its fields there, in their order and under the names
that `protocol.py` gives them. A number is a number, everything else a string; a time is in milliseconds since 1970.

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

`age` is `live`, `missed` for what was said while the connection was lost, or `past` for what was said before. Only what
says the name of the reader, or is told to them alone, has `"mention": true`. There may be more events and more fields
one day: who reads this passes over what they do not know.
"""

import json

from hubbub.client.state.notification import Notification
from hubbub.protocol import LAYOUTS, Ack, End, Event, Hello, Ping, Pong, Refused, ServerChallenge, Welcome, clean

# These pass between the programs: no person is shown them, either. What the server refuses is told by an error.
_UNTOLD: frozenset[type[Event]] = frozenset({Hello, ServerChallenge, Welcome, End, Ack, Refused, Ping, Pong})


def to_json(news: Notification) -> str | None:
    """Return the object for `news`, cleaned and without an end of line; None for what is not shown."""
    kind = type(news.event)
    if kind in _UNTOLD:
        return None
    layout = LAYOUTS[kind]
    values: dict[str, str | int | bool] = {"event": layout.word}
    for name, value in zip(layout.names, layout.values(news.event), strict=True):
        values[name] = clean(value) if isinstance(value, str) else value
    values["age"] = news.age.value
    if news.mention:
        values["mention"] = True
    return json.dumps(values, ensure_ascii=False)
