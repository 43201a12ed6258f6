"""`python3 -m hubbub.server` is the chat server."""

import sys

from hubbub.server.cli import main

sys.exit(main())
