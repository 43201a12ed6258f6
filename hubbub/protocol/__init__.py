r"""The wire protocol between clients and servers, version 1.

lines.py decodes bytes into text. validation.py checks names, rooms and colours. events.py has a dataclass for each line
from the server, and commands.py for each line from the client. The package imports no socket, thread, logger or colour.
Any thread may call any function; a `LineDecoder` belongs to one thread.

A line is UTF-8, ends with ``\n`` (one ``\r`` before it is dropped) and has at most 16,384 bytes. Fields are separated
by one space, the last one is the rest of the line, and a field without a value is ``-``. A line from the client that
does not start with ``/`` is a message to the room, and ``//x`` sends ``/x``. An empty line does nothing.

From the client
    /pass PASSWORD              the server's password, first, where /hello says password; no answer if it is right
    /challenge                  before /name: ask for a challenge, to prove that the client owns a name
    /prove VERIFIER PROOF       answer the server's /challenge, before /name; see below
    /name NAME [COLOR]          choose a name; later: change name or colour
    /resume TOKEN ROOM SEQ      return to a lost session instead of /name; SEQ is the last line received of ROOM
    /color COLOR                change the colour
    TEXT                        send TEXT to the room
    /me TEXT                    an action: `alice waves`
    /post N LINE                send LINE, text or /me TEXT, as post number N; an N is stored only once
    /join ROOM [KEY]            enter ROOM, or create it; KEY locks a new one and opens a locked one
    /leave                      return to the lobby
    /list                       list the rooms and the number of their members, the lobby first
    /who [ROOM]                 list the members of the room, or of ROOM
    /msg NAME TEXT              send NAME a private message, in any room
    /history [COUNT [BEFORE]]   show the last COUNT lines of the room, or those before line BEFORE
    /kick NAME [REASON]         disconnect NAME; they may return
    /ban NAME|ADDRESS DURATION [REASON]    ban a name or address for DURATION: 90s, 30m, 2h or 7d
    /unban NAME|ADDRESS         lift the ban of a name or address
    /bans                       list the bans and mutes: operator, end and reason
    /mute NAME DURATION         stop NAME from sending for DURATION
    /unmute NAME                allow NAME to send again
    /release NAME               take NAME from its owner
    /help [COMMAND]             list the commands, or explain one
    /ping TOKEN                 answered by /pong TOKEN
    /pong TOKEN                 answer a /ping of the server
    /exit                       leave the chat

From the server
    /hello VERSION FLAGS                        at once on connecting
    /challenge SERVER NONCE                     the server's identity and the nonce for one /prove
    /welcome NAME COLOR TOKEN ACCEPTED          you are signed in
    /entered ROOM SEQ PEOPLE FLAGS              you are in ROOM; its last line is SEQ, and up to 50 lines of it follow
    /say ROOM SEQ TIME NAME COLOR TEXT          a message
    /me ROOM SEQ TIME NAME COLOR TEXT           an action
    /msg TIME FROM COLOR TO TEXT                a private message
    /joined ROOM TIME NAME COLOR                a member joined
    /left ROOM TIME NAME COLOR TEXT             a member left; TEXT is the reason
    /renamed ROOM TIME OLD COLOR NEW            a member changed their name or colour
    /room ROOM PEOPLE FLAGS                     a row of /list
    /person NAME COLOR ROOM IDLE                a row of /who; IDLE in seconds
    /proven NAME                                a row of /who, after the others: this member owns their NAME
    /end WORD                                   the answer to WORD is complete
    /ack N                                      all your posts up to N are stored
    /refused N CODE TEXT                        your post N was not sent; TEXT is the reason; N is used up
    /gap ROOM FIRST LAST                        these lines did not reach you, and are no longer stored
    /notice TEXT                                a message from the server
    /error CODE TEXT                            your last line was not carried out; TEXT says what to do
    /ping TOKEN                                 a question whether you are there
    /pong TOKEN                                 the answer to a /ping
    /bye TEXT                                   the server closes this connection; TEXT is the reason

TIME is in milliseconds since 1970-01-01 UTC; SEQ counts 1, 2, 3 … without a gap, in each room by itself.

A user who proves a secret owns the names that they use; others get `name-taken`. The secret never crosses the wire. The
scheme is that of SCRAM (RFC 5802), with SHA-256 and a key for each server:

    SERVER     32 hexadecimal digits (0-9a-f), the server's identity, as long as its journal lasts
    NONCE      32 hexadecimal digits, for one /prove of this connection
    K          = HMAC-SHA256(key: the client's secret, message: "chat-room name key" SERVER)
    VERIFIER   = SHA256(K), as 64 hexadecimal digits: identifies the client; the server stores it instead of K
    PROOF      = K xor HMAC-SHA256(key: the 32 bytes of VERIFIER, message: NONCE SERVER), as 64 hexadecimal digits

The server does not answer a right proof: /name or /resume may follow it at once. A wrong proof is a `proof-wrong`
error, as is one without a NONCE; the connection goes on as if there had been no /prove.
"""

from hubbub.protocol.commands import (
    COMMANDS as COMMANDS,
    FOREIGN_WORDS as FOREIGN_WORDS,
    HISTORY_LINES as HISTORY_LINES,
    HISTORY_LINES_MAX as HISTORY_LINES_MAX,
    ROWS as ROWS,
    Ban as Ban,
    Bans as Bans,
    Challenge as Challenge,
    Color as Color,
    CommandRow as CommandRow,
    Exit as Exit,
    Help as Help,
    History as History,
    Join as Join,
    Kick as Kick,
    Leave as Leave,
    List as List,
    Me as Me,
    Msg as Msg,
    Mute as Mute,
    Name as Name,
    Pass as Pass,
    Post as Post,
    Prove as Prove,
    Release as Release,
    Resume as Resume,
    Say as Say,
    Unban as Unban,
    Unmute as Unmute,
    Who as Who,
    command_table as command_table,
    find_command as find_command,
    get_command as get_command,
    parse_command as parse_command,
)
from hubbub.protocol.errors import (
    ProtocolError as ProtocolError,
)
from hubbub.protocol.events import (
    EVENTS as EVENTS,
    LOCKED as LOCKED,
    NO_FLAGS as NO_FLAGS,
    PRESENCE_MEMBERS as PRESENCE_MEMBERS,
    Ack as Ack,
    Acted as Acted,
    Bye as Bye,
    End as End,
    Entered as Entered,
    Error as Error,
    Gap as Gap,
    Hello as Hello,
    Joined as Joined,
    Left as Left,
    MemberRow as MemberRow,
    Notice as Notice,
    OwnerRow as OwnerRow,
    Ping as Ping,
    Pong as Pong,
    PrivateMessage as PrivateMessage,
    Refused as Refused,
    Renamed as Renamed,
    RoomRow as RoomRow,
    Said as Said,
    ServerChallenge as ServerChallenge,
    Welcome as Welcome,
    encode_run as encode_run,
    parse_event as parse_event,
)
from hubbub.protocol.layout import (
    LAYOUTS as LAYOUTS,
    Command as Command,
    Event as Event,
    Layout as Layout,
    Line as Line,
    Text as Text,
)
from hubbub.protocol.lines import (
    ENCODING_ERRORS as ENCODING_ERRORS,
    LINE_BYTES as LINE_BYTES,
    TEXT_CHARS as TEXT_CHARS,
    LineDecoder as LineDecoder,
    LineTooLongError as LineTooLongError,
    clean as clean,
    decode_line as decode_line,
    decode_lines as decode_lines,
)
from hubbub.protocol.validation import (
    CHARS_PER_COLUMN as CHARS_PER_COLUMN,
    COLORS as COLORS,
    DURATION_SECONDS_MAX as DURATION_SECONDS_MAX,
    LOBBY as LOBBY,
    MARKS_PER_LETTER as MARKS_PER_LETTER,
    NAME_COLUMNS as NAME_COLUMNS,
    RESERVED_NAMES as RESERVED_NAMES,
    ROOM_COLUMNS as ROOM_COLUMNS,
    check_color as check_color,
    check_duration as check_duration,
    check_name as check_name,
    check_room as check_room,
    check_text as check_text,
    clean_password as clean_password,
    default_color as default_color,
    fold_name as fold_name,
    is_number as is_number,
    parse_duration as parse_duration,
)

__version__ = "0.1.0"  # of this server and this client

VERSION = 1  # of the protocol; a client may meet a server of another `__version__`
