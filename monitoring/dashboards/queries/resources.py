"""Log files, storage, memory, processors: of the machines that collectors watch, whatever the applications."""

from __future__ import annotations

from ...foreign import File, Host
from ._build import WINDOW, top

_HOST = 'instance=~"$host"'
_SIZE = f"{File.SIZE}{{{_HOST}}}"
_GROWTH = f"app_session:log_growth:ratio10m{{{_HOST}}}"
# As in the alert: a processor that waits for a disk is not busy.
_BUSY = f'(1 - min by (instance) (sum without (state) ({Host.CPU}{{{_HOST}, state=~"idle|wait"}})))'
_FULL = f"app_session:filesystem_utilization:ratio{{{_HOST}}}"
_TIME_TO_FULL = f"app_session:filesystem_time_to_full_seconds:deriv6h{{{_HOST}}}"
_USED = f'{Host.MEMORY}{{{_HOST}, state="used"}}'

LOG_SIZE = f"sum ({_SIZE})"
LOG_FILES = f"count ({_SIZE})"
LOG_GROWTH = f"max ({_GROWTH})"
LOG_SIZES = top(f"max by (instance, {File.PATH}) (app_session:log_size_bytes:sum{{{_HOST}}})")
LOG_GROWTHS = top(f"max by (instance, {File.PATH}) ({_GROWTH})")
# A size falls when its file is rotated, as a counter does when its process begins anew.
LOG_WRITTEN = top(f"max by (instance, {File.PATH}) (rate({_SIZE}[{WINDOW}]))")
LOG_AGE = f"time() - max by (instance, {File.PATH}) ({File.WRITTEN}{{{_HOST}}})"

CPU = f"max ({_BUSY})"
CPU_BY_HOST = f"max by (instance) ({_BUSY})"
# Collectors whose scrapes have labels of their own may report a machine twice.
LOAD = (
    f"max by (instance) (max by (job, instance) ({Host.LOAD}{{{_HOST}}})"
    f" / max by (job, instance) ({Host.PROCESSORS}{{{_HOST}}}))"
)
MEMORY = f"max ({_USED})"
MEMORY_BY_HOST = f"max by (instance) ({_USED})"
DISK = f"max ({_FULL})"
DISK_BY_DEVICE = f"max by (instance, {Host.DEVICE}) ({_FULL})"
TIME_TO_FULL = f"min by (instance, {Host.DEVICE}) ({_TIME_TO_FULL})"
DISK_FREE = f'min by (instance, mountpoint) ({Host.FILESYSTEM_USAGE}{{{_HOST}, state="free"}})'

_PROCESS = f"instance, {Host.PROCESS_NAME}, {Host.PROCESS_ID}"
PROCESS_CPU = top(f"sum by ({_PROCESS}) (rate({Host.PROCESS_CPU}{{{_HOST}}}[{WINDOW}]))")
PROCESS_MEMORY_SHARE = top(f"max by ({_PROCESS}) (app_session:process_memory:ratio{{{_HOST}}})")
PROCESS_MEMORY = top(f"max by ({_PROCESS}) ({Host.PROCESS_MEMORY}{{{_HOST}}})")
