#!/usr/bin/python3
"""catches_flips.py JUDGE FLIPPED...: the reference evaluator agrees with the first program, and notices each of the others, which
have one comparison of policy the other way round."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from compare import differences, sessions  # noqa: E402

COUNT = 5_000
SEED = 823019

failures = 0
for number, judge in enumerate(sys.argv[1:]):
    differing = sum(bool(differences(session)) for session in sessions(judge, COUNT, SEED))
    flipped = number > 0
    print(f"{os.path.basename(judge)}: {differing} of {COUNT} sessions differ")
    failures += (differing > 0) != flipped
sys.exit(1 if failures else 0)
