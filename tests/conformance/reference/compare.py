#!/usr/bin/python3
"""compare.py JUDGE_SESSIONS [COUNT [SEED]]: random sessions, judged by (a) SimulateSession, (b) the bytes of the session,
(c) the reference evaluator. Verdict, reply and deciding field must be equal; the seed is printed."""
import collections
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from evaluator import Evaluator  # noqa: E402

SHOWN = 5


def sessions(judge, count, seed, *world):
    """The lines of judge_sessions, decoded."""
    with subprocess.Popen([judge, str(seed), str(count), *world], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            yield json.loads(line)
    if process.returncode:
        sys.exit(f"{judge} ended with {process.returncode}")


def says(expected, actual):
    return actual.startswith(expected[:-1]) if expected.endswith("*") else actual == expected


def outline(step):
    """Of a SimulatedStep in JSON: what must be equal."""
    return (step["kind"], "\n".join(step.get("reply_lines", [])), step.get("accepted", False), step.get("rule", ""))


def differences(session):
    """Where the three disagree: texts."""
    simulated = [outline(step) for step in session["simulate"]["steps"]]
    wire = [outline(step) for step in session["wire"]["steps"]]
    expected = Evaluator(session["request"]).run()
    found = []
    for i in range(max(len(simulated), len(wire), len(expected))):
        a = simulated[i] if i < len(simulated) else None
        b = wire[i] if i < len(wire) else None
        c = expected[i] if i < len(expected) else None
        if a != b:
            found.append(f"step {i}: simulate {a}\n        wire     {b}")
        if a is None or c is None or (c.kind, c.accepted, c.rule) != (a[0], a[2], a[3]) or not says(c.reply, a[1]):
            found.append(f"step {i}: simulate  {a}\n        reference {c}")
    return found


def main():
    judge = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}")
    failed = judged = 0
    fields = collections.Counter()
    for session in sessions(judge, count, seed):
        judged += 1
        fields.update(step.get("rule", "") for step in session["simulate"]["steps"])
        found = differences(session)
        if not found:
            continue
        failed += 1
        if failed <= SHOWN:
            print(f"--- session {judged}", json.dumps(session["request"]), *found, sep="\n")
    print(f"{judged} sessions, {failed} differ; decided by {len(fields)} fields")
    if judged != count:
        sys.exit(f"{judged} sessions instead of {count}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
