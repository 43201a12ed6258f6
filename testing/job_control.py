"""Run a program as a shell runs a job: print `stopped` when it stops, and continue it when `fg` is typed."""

import os
import signal
import subprocess
import sys


def main() -> int:
    """Run the program in the arguments and return its exit code."""
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # or taking the terminal back would stop this process
    job = subprocess.Popen([sys.executable, *sys.argv[1:]], process_group=0)
    while True:
        os.tcsetpgrp(0, job.pid)
        os.killpg(job.pid, signal.SIGCONT)
        _, status = os.waitpid(job.pid, os.WUNTRACED)
        os.tcsetpgrp(0, os.getpgrp())
        if not os.WIFSTOPPED(status):
            return os.waitstatus_to_exitcode(status)
        os.write(1, b"stopped\r\n")
        assert os.read(0, 1024) == b"fg\n"


if __name__ == "__main__":
    sys.exit(main())
