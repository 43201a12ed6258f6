"""Join a chat: `python3 chat_client.py [HOST[:PORT]]`; see `python3 chat_client.py --help`."""

import sys

from hubbub.startup import load_main

if __name__ == "__main__":
    sys.exit(load_main("hubbub.client.cli", "chat_client.py")())
