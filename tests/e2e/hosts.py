"""Other machines, as far as one can have them on one: with a network and with process numbers of their own."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest

_AS_ROOT = [] if os.geteuid() == 0 else ["sudo", "-n"]


class Host(NamedTuple):
    """Where a process runs, and under which address it reaches this machine."""

    gateway: str
    name: str | None = None

    def command(self, command: list[str], environment: dict[str, str]) -> list[str]:
        """A command that runs `command` there."""
        if self.name is None:
            return command
        variables = [f"{name}={value}" for name, value in environment.items()]
        alone = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
        return [*_AS_ROOT, "ip", "netns", "exec", self.name, *alone, "env", *variables, *command]


HERE = Host("127.0.0.1")


def _ip(*arguments: str) -> None:
    subprocess.run([*_AS_ROOT, "ip", *arguments], check=True, capture_output=True, text=True)


@contextmanager
def host() -> Iterator[Host]:
    """A host whose only network is a cable to this machine."""
    name = f"os{secrets.token_hex(4)}"
    network = f"10.{secrets.randbelow(100) + 100}.{secrets.randbelow(250)}"
    gateway, address = f"{network}.1", f"{network}.2"
    _ip("netns", "add", name)
    try:
        _ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("addr", "add", f"{gateway}/30", "dev", name)
        _ip("link", "set", name, "up")
        for step in (
            ("addr", "add", f"{address}/30", "dev", "eth0"),
            ("link", "set", "eth0", "up"),
            ("link", "set", "lo", "up"),
            ("route", "add", "default", "via", gateway),
        ):
            _ip("-n", name, *step)
        yield Host(gateway, name)
    finally:
        _ip("netns", "delete", name)


def need_hosts() -> None:
    """Skip the test where no host can be made, and fail where CI has to be able to."""
    try:
        with host() as one:
            subprocess.run(one.command(["true"], {}), check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None) or error
        reason = f"hosts of their own need `ip netns`, `unshare`, and root or sudo without a password: {said!s}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
