#!/usr/bin/env python3
"""Turns what check.sh has measured into the project's files of figures: gpu-steps.csv, gpu-checks.csv, gpu-training.csv.

report.py FOLDER [RESULTS]: FOLDER has results.jsonl, RESULTS is where the files go (else results). The README there and
docs/gpu.md ask for the tables from then on, and `make evidence` puts them in. A part that did not finish, or failed, is a row
of gpu-checks.csv and has no figures.
"""

import csv
import json
import os
import re
import sys


def read(folder):
    with open(os.path.join(folder, "results.jsonl")) as f:
        return {r["part"]: r for r in map(json.loads, f)}


def machine(part):
    """Card and driver, and the commit that was tried, from what the part `machine` printed."""
    lines = part["output"].splitlines()
    card, driver, *_ = [field.strip() for field in lines[0].split(",")]
    commit = next(line for line in lines if re.fullmatch(r"[0-9a-f]{40}", line))
    return f"{card}, driver {driver}", commit[:7]


def steps(parts, card, commit):
    """A row for every method and side that was timed."""
    for name, part in parts.items():
        for result in part.get("measured", []) if name != "train" else []:
            if "ours" not in result:  # nothing took turns with it
                engine = "Locus, recorded" if result.get("graphs") else "Locus"
                yield step(name, [result], engine, " ".join(result["cuts"]), "", card, commit)
                continue
            ratio = f"{result['ratios']['step_seconds']['median']:.2f}"
            cuts = "published" if result["ours"][0]["cuts"] else ""  # peers.py has no others
            yield step(name, result["ours"], "Locus", cuts, ratio, card, commit)
            yield step(name, result["theirs"], "PyTorch " + result["theirs"][0]["engine"].split()[1], cuts, ratio, card, commit)


def step(name, rows, engine, cuts, ratio, card, commit):
    first, times = rows[0], [row["step_seconds"] for row in rows]
    return {
        "model": first["model"], "batch": first["batch"], "image": first["image"], "precision": first["precision"],
        "method": first["method"], "modules": first["modules"], "cuts": cuts, "engine": engine,
        "step_ms": f"{1000 * sum(times) / len(times):.2f}",
        "low": f"{1000 * min(row['step_seconds_min'] for row in rows):.2f}",
        "high": f"{1000 * max(row['step_seconds_max'] for row in rows):.2f}",
        "peak_mib": f"{max(row['peak_bytes'] for row in rows) / 2**20:.0f}",
        "ratio": ratio,
        "command": f"scripts/gpu/check.sh {name}", "commit": commit, "machine": card, "n": len(rows), "seed": 1,
    }


def checks(parts, card, commit):
    """A row for every part: how many of its lines passed and failed, and the largest error that it printed."""
    for name, part in parts.items():
        text = part["output"]
        passed = len(re.findall(r"^\s*--- PASS|^holds ", text, re.M))
        failed = len(re.findall(r"^\s*--- FAIL|^FAILS ", text, re.M))
        errors = [float(e) for e in re.findall(r"worst relative error ([0-9.e+-]+)", text)]
        yield {
            "part": name, "outcome": {0: "passed", 124: "ran out of time", 137: "ran out of time"}.get(part["exit"], "failed"),
            "passed": passed, "failed": failed, "worst_error": f"{max(errors):.1e}" if errors else "",
            "seconds": part["seconds"],
            "command": f"scripts/gpu/check.sh {name}", "commit": commit, "machine": card, "n": 1, "seed": 1,
        }


def training(parts, card, commit):
    """A row for every training that ended."""
    for recipe, summary in parts.get("train", {}).get("measured", {}).items():
        yield {
            "recipe": recipe, "epochs": summary["epochs"], "test_acc": f"{summary['test_acc']:.2f}",
            "seconds": f"{summary['seconds']:.1f}", "step_ms": f"{1000 * summary['seconds_per_step']:.2f}",
            "peak_mib": f"{summary['peak_bytes'] / 2**20:.0f}",
            "command": "scripts/gpu/check.sh train", "commit": commit, "machine": card, "n": 1, "seed": 1,
        }


# What asks for a table: see results/evidence.
TABLES = {
    "steps": ("Steps beside PyTorch's on the same card, in turns", [
        ("net", "{model}, {precision}, batch {batch} of {image}²"), ("method", "{method}"), ("K", "{modules}"), ("cuts", "{cuts}"),
        ("engine", "{engine}"), ("ms a step", "{step_ms} ({low}–{high})"), ("peak, MiB", "{peak_mib}"),
        ("PyTorch ÷ ours", "{ratio}"), ("machine", "{machine}"), ("commit", "{commit}")]),
    "checks": ("Checks on a card", [
        ("part", "{part}"), ("outcome", "{outcome}"), ("passed", "{passed}"), ("failed", "{failed}"),
        ("worst relative error", "{worst_error}"), ("seconds", "{seconds}"), ("machine", "{machine}"),
        ("commit", "{commit}")]),
    "training": ("Trainings on a card", [
        ("recipe", "{recipe}"), ("epochs", "{epochs}"), ("test accuracy, %", "{test_acc}"), ("seconds", "{seconds}"),
        ("ms a step", "{step_ms}"), ("peak, MiB", "{peak_mib}"), ("machine", "{machine}"), ("commit", "{commit}")]),
}


def ask(document, name):
    """Lets a document ask for a table, unless it does already."""
    title, columns = TABLES[name]
    mark = f"<!-- table: gpu-{name}.csv\n"
    with open(document) as f:
        text = f.read()
    if mark in text:
        return
    lines = "".join(f'- "{key}": "{value}"\n' for key, value in columns)
    with open(document, "w") as f:
        f.write(f"{text.rstrip()}\n\n### {title}\n\n{mark}columns:\n{lines}-->\n")


def write(path, rows):
    rows = list(rows)
    if not rows:
        return False
    with open(path, "w", newline="") as f:
        w = csv.DictWriter(f, list(rows[0]), lineterminator="\n")
        w.writeheader()
        w.writerows(rows)
    print(path, len(rows), "rows")
    return True


def main():
    if not 2 <= len(sys.argv) <= 3:
        sys.exit(__doc__)
    results = sys.argv[2] if len(sys.argv) > 2 else "results"
    parts = read(sys.argv[1])
    card, commit = machine(parts["machine"])
    for name, rows in (("steps", steps), ("checks", checks), ("training", training)):
        if write(os.path.join(results, f"gpu-{name}.csv"), rows(parts, card, commit)):
            for document in (os.path.join(results, "README.md"), os.path.join(results, "..", "docs", "gpu.md")):
                ask(document, name)


if __name__ == "__main__":
    main()
