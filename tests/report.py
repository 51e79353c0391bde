#!/usr/bin/python3
"""Turns the results of tests/run into the table of tests/catalogue.tsv and the closing line.

Usage: report.py CATALOGUE RESULTS_DIR REPORT_FILE. RESULTS_DIR holds NAME.json (Bazel's build events of one pass),
NAME.failed (why a pass could not be built), shell.tsv (label and status of what is no Bazel test) and fuzz.log. Exit 0 when none failed and one passed.
"""
import json
import pathlib
import sys
import urllib.parse


def read_pass(path):
    """{label: status} of one pass."""
    results, logs = {}, {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        event = json.loads(line)
        kind = event.get("id", {})
        if "testResult" in kind:
            for output in event.get("testResult", {}).get("testActionOutput", []):
                if output.get("name") == "test.log":
                    logs[kind["testResult"]["label"]] = output.get("uri", "")
        if "testSummary" in kind and "testSummary" in event:
            status = event["testSummary"].get("overallStatus", "FAILED")
            results[kind["testSummary"]["label"]] = "passed" if status == "PASSED" else "failed"
        if "targetCompleted" in kind and not event.get("completed", {}).get("success", False):
            label = kind["targetCompleted"]["label"]
            results.setdefault(label, "failed")
    # A test that prints `SKIPPED: why` as its last line and passes was skipped.
    for label, uri in logs.items():
        if results.get(label) != "passed" or not uri.startswith("file://"):
            continue
        log = pathlib.Path(urllib.parse.unquote(uri[len("file://"):]))
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.exists() else []
        if lines and lines[-1].startswith("SKIPPED: "):
            results[label] = "skipped: " + lines[-1][len("SKIPPED: "):]
    return results


def main():
    catalogue, directory, report = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    by_label, passed, failed, skipped, failures = {}, 0, 0, 0, []
    for path in sorted(directory.glob("*.json")):
        for label, status in read_pass(path).items():
            passed += status == "passed"
            skipped += status.startswith("skipped")
            if status == "failed":
                failed += 1
                failures.append(f"{label} ({path.stem})")
            # The worst of its passes is what a label came to.
            order = ["passed", "skipped", "failed"]
            old = by_label.get(label, "passed")
            by_label[label] = max(old, status, key=lambda s: order.index(s.split(":")[0]))
    shell = directory / "shell.tsv"
    if shell.exists():
        for line in shell.read_text(encoding="utf-8").splitlines():
            label, status = line.split("\t")
            by_label[label] = status
            passed += status == "passed"
            skipped += status.startswith("skipped")
            if status == "failed":
                failed += 1
                failures.append(label)
    for path in sorted(directory.glob("*.failed")):
        failed += 1
        failures.append(f"{path.stem}: {path.read_text().strip()}")
    fuzz = directory / "fuzz.log"
    if fuzz.exists():
        lines = [line for line in fuzz.read_text(errors="replace").splitlines() if line.startswith("fuzz ")]
        clean = [line for line in lines if line.endswith("no finding")]
        passed += len(clean)
        for line in lines:
            if line not in clean:
                failed += 1
                failures.append(line)
        if not lines:
            failed += 1
            failures.append("fuzzing: no target ran")

    rows = []
    for line in catalogue.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        identifier, sentence, labels = line.split("\t")
        statuses = []
        if labels.startswith("open: "):
            rows.append((identifier, sentence, "-", labels))
            continue
        for label in labels.split():
            if label not in by_label:
                failed += 1
                failures.append(f"{identifier} names {label}, which is no test that ran")
                statuses.append("failed: no such test")
            else:
                statuses.append(by_label[label])
        worst = "open"
        for prefix in ("failed", "skipped", "passed"):
            found = [status for status in statuses if status.startswith(prefix)]
            if found:
                worst = found[0]
                break
        rows.append((identifier, sentence, labels or "-", worst))
    table = ["| id | what must hold | test | result |", "|---|---|---|---|"]
    table += [f"| {a} | {b} | {c} | {d} |" for a, b, c, d in rows]
    text = "\n".join(table)
    try:
        report.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        print(f"report: {error}", file=sys.stderr)
    print(text)
    counts = {key: sum(1 for row in rows if row[3].startswith(key)) for key in ("passed", "open", "failed", "skipped")}
    print("\nRows: " + ", ".join(f"{count} {key}" for key, count in counts.items()))
    for failure in failures:
        print(f"FAILED {failure}")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
