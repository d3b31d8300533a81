"""A batch job: an audit of this package's own files, with progress, a handled error and a session inside the session.

It runs three times: to its end, cancelled half-way, and into an exception.
"""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

from otel_sessions import current_session, session

from ._export import export_over_otlp

_PACKAGE = Path(__file__).parents[2]


@session("security_audit", user="operator@contoso.com", attributes={"tenant": "contoso"})
async def audit(folder: Path) -> dict[str, str]:
    """Hash every module in `folder`, and compare with the list of the last run."""
    running = current_session()
    running.progress("Listing files", step=1)
    files = modules(folder)
    try:
        last_run(folder)
    except FileNotFoundError as error:
        running.error(error, step=2)
    hashes = await hash_files(files)
    running.progress("Hashed all files", step=3, files=len(files))
    running.record("audit.file.size", sum(path.stat().st_size for path in files), unit="By")
    return hashes


def modules(folder: Path) -> list[Path]:
    """The modules in `folder`."""
    found = sorted(folder.glob("*.py"))
    if not found:
        raise FileNotFoundError(f"{folder.name} holds no modules")
    return found


def last_run(folder: Path) -> str:
    """The list of the last run; there is none."""
    return (folder / "last-run.sha256").read_text(encoding="utf-8")


@session
async def hash_files(files: list[Path]) -> dict[str, str]:
    """A session of its own, inside that of the audit."""
    hashes = {}
    for path in files:
        hashes[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
        await asyncio.sleep(0.005)
    current_session().event("checksum.written", count=len(hashes))
    return hashes


async def main() -> None:
    """Run the job to its end, cancelled, and into an exception."""
    await audit(_PACKAGE)
    cancelled = asyncio.create_task(audit(_PACKAGE))
    await asyncio.sleep(0.03)
    cancelled.cancel()
    failed = audit(_PACKAGE / "demo" / "no-such-folder")
    await asyncio.gather(cancelled, failed, return_exceptions=True)


if __name__ == "__main__":
    export_over_otlp()
    asyncio.run(main())
