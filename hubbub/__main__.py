"""`python3 -m hubbub` is the chat client."""

import sys

from hubbub.client.cli import main

sys.exit(main())
