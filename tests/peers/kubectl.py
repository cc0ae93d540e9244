"""kubectl, against a server of the test's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from peers.process import PeerError
from peers.program import Outcome, run_program


class Kubectl:
    """``str(kubectl)`` is the program's path."""

    def __init__(self, programs: Path, directory: Path) -> None:
        self._path = programs / "kubectl"
        self._directory = directory

    def __str__(self) -> str:
        return str(self._path)

    async def run(self, args: Sequence[str], kubeconfig: Path, *, stdin: str = "", check: bool = True) -> Outcome:
        """Runs ``kubectl args`` with that kubeconfig and no other, its cache in the test's directory.

        Raises:
            PeerError: it failed, and ``check`` is true.
        """
        fixed = ["--kubeconfig", str(kubeconfig), "--cache-dir", str(self._directory / "kube-cache")]
        env = {"KUBERC": "off"}
        done = await run_program([str(self._path), *fixed, *args], self._directory, stdin=stdin, env=env)
        if check and done.code:
            raise PeerError(f"kubectl {' '.join(args)} ended with {done.code}:\n{done.err}")
        return done
