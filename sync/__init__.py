"""What happens when two people change the same thing while one of them has no signal.

A pure core: standard library only, no clock, no database, no framework, no I/O. Read it in this order:

- :mod:`sync.mutation`: what a person did, as data.
- :mod:`sync.policy`: how each field of a kind settles, and which values it takes.
- :mod:`sync.reconcile`: (current entity, mutation, author, policy) -> outcome.
- :mod:`sync.text`: what becomes of two edits of one text.
- :mod:`sync.receipt`: what the phone is told.
- :mod:`sync.clock`: from a device's claim about time to a best estimate and its doubt.
- :mod:`sync.migrate`: payloads of older apps -> today's.
"""
