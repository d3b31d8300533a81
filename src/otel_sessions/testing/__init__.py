"""What you need to test the sessions of your own application.

In a test, the fixture `recorded_sessions` (or `record_sessions()` without pytest) gives every session, span, event and
metric of the code under test, and a clock to advance. `OTLPReceiver` decodes what a running application really sends.
"""

from ._clock import ManualClock
from ._receiver import OTLPReceiver, ReceivedLog, ReceivedPoint, ReceivedSpan
from ._recorded import RecordedSessions, record_sessions

__all__ = [
    "ManualClock",
    "OTLPReceiver",
    "ReceivedLog",
    "ReceivedPoint",
    "ReceivedSpan",
    "RecordedSessions",
    "record_sessions",
]
