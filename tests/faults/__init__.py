"""Workers that are killed at random instants, and what of their sessions reaches a receiver.

`python -m tests.faults --rounds 1000 --store sqlite`: in each round a real process, one of two at a time, starts,
uses and ends sessions from several threads and exports them by OTLP until SIGKILL; the next one recovers. Rounds come
in batches that share a store. After each batch every session that was ever handed out has to have arrived under just
the identity that it was handed out with, with a sane status and with what was counted in it.
"""
