"""Children that are killed at a moment of the parent's choice. One warm process forks them, so that each costs
milliseconds and not the seconds in which Python starts."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

_TESTING = Path(__file__).resolve().parents[1]
_SERVER = """
import os, sys
sys.path[:0] = [sys.argv[1], sys.argv[2]]
from support import killing_jobs as jobs
jobs.warm_up()
print("ready", flush=True)
for line in sys.stdin:
    name, *arguments = line.rstrip("\\n").split("\\t")
    child = os.fork()
    if child == 0:
        try:
            getattr(jobs, name)(*arguments)
        finally:
            os._exit(0)
    print(child, flush=True)
    os.waitpid(child, 0)
    print("gone", flush=True)
"""


class KillableJobs:
    """Runs functions of ``support.killing_jobs`` in children and kills them: ``with KillableJobs() as jobs: ...``."""

    def __enter__(self) -> "KillableJobs":
        command = [sys.executable, "-c", _SERVER, str(_TESTING), str(_TESTING.parent)]
        self._server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._server.stdout.readline().strip() == "ready"
        return self

    def __exit__(self, *_) -> None:
        self._server.stdin.close()
        self._server.wait(60)
        self._server.stdout.close()

    def run(self, name: str, *arguments, kill_after: float | None = None) -> bool:
        """Run a job, kill it after that many seconds unless it is done; True where it was killed at work."""
        self._server.stdin.write("\t".join([name, *map(str, arguments)]) + "\n")
        self._server.stdin.flush()
        child = int(self._server.stdout.readline())
        if kill_after is None:
            assert self._server.stdout.readline().strip() == "gone"
            return False
        time.sleep(kill_after)
        # A child that is done waits to be collected by its parent, so its number is nobody else's yet; the parent may
        # have collected it meanwhile.
        killed = _kill(child)
        assert self._server.stdout.readline().strip() == "gone"
        return killed


def _kill(child: int) -> bool:
    try:
        os.kill(child, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
