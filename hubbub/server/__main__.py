"""`python3 -m hubbub.server` is the chat server."""

import sys

from hubbub.startup import load_main

sys.exit(load_main("hubbub.server.cli", "-m hubbub.server")())
