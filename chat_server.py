"""Start the chat server: `python3 chat_server.py`; see `python3 chat_server.py --help`."""

import sys

from hubbub.startup import load_main

if __name__ == "__main__":
    sys.exit(load_main("hubbub.server.cli", "chat_server.py")())
