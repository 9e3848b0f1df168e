"""Many processes on one store, killed and stopped at random, held against what they wrote down.

    python -m torture --seconds 60 --seed 7      (make torture ARGS="...")
    python -m torture --calm                     4 writers, 4 readers, no faults

`plan` says what a run is, `worker` is one process of it and `roles` what it does, `processes`
starts, stops, kills and replaces them, `record` is what they write down and `testimony` what comes
of that, `history` is what the log says in the end, `invariants` holds the one against the other,
`runner` is the whole, `report` prints the numbers.
"""
