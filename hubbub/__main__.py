"""`python3 -m hubbub` is the chat client."""

import sys

from hubbub.startup import load_main

sys.exit(load_main("hubbub.client.cli", "-m hubbub")())
