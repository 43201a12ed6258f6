"""Start the chat server: `python3 chat_server.py`; see `python3 chat_server.py --help`."""

import sys

from hubbub.server.cli import main

if __name__ == "__main__":
    sys.exit(main())
