"""Our steps beside PyTorch's in one run: `locus bench` and peers.py take turns, a process of its own for each method
and round, or for each round with --together. Prints ratios, PyTorch over ours, as the median of the rounds with the
lowest and the highest, and writes every row as JSON."""

import argparse
import glob
import json
import os
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))

# Debian's PyTorch, too, gets the BLAS that our binary names: another one's threads would spin against libtorch's.
BLAS = glob.glob("/usr/lib/*/openblas-openmp")
ENVIRONMENT = {**os.environ, "LD_LIBRARY_PATH": ":".join([*BLAS, *filter(None, [os.environ.get("LD_LIBRARY_PATH")])])}


def favour(locus):
    """Gives both sides the kernels that our program has its BLAS take."""
    text = subprocess.run([locus, "doctor", "--environment"], stdout=subprocess.PIPE, check=True, text=True).stdout
    ENVIRONMENT.update(line.split("=", 1) for line in text.splitlines())


def measured(command):
    """The rows that a command prints, with the most memory that its process had."""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=ENVIRONMENT)
        text = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            sys.exit(f"{errors.read().decode()}exit code {process.returncode} from: {' '.join(command)}")
    rows = json.loads(text) if text.lstrip().startswith(b"[") else [json.loads(line) for line in text.splitlines()]
    return [{**row, "peak_rss_bytes": usage.ru_maxrss << 10} for row in rows]


def commands(args, methods):
    same = ["--methods", methods]
    for name in ("model", "modules", "batch", "image", "threads", "steps", "warmup", "device"):
        same += [f"--{name}", str(getattr(args, name))]
    ours = [args.locus, "bench", "--json", *same, "--precision", args.precision]
    for key, value in (("head.name", args.head), ("head.width", args.head_width), ("model.classes", args.classes)):
        ours += ["--set", f"{key}={value}"]
    for assignment in args.set:
        ours += ["--set", assignment]
    theirs = [args.python, "-B", "-W", "ignore", os.path.join(HERE, "peers.py"), *same,
              "--precision", args.peer_precision or args.precision, "--head", args.head,
              "--head-width", str(args.head_width), "--classes", str(args.classes)]
    if args.fastest:
        ours += ["--set", "deterministic=false"]
        theirs.append("--fastest")
    return ours, theirs


def compare(args, methods):
    """Lets a command for these methods, with a comma between them, take turns with PyTorch's."""
    ours, theirs = [], []  # a list of rows, one a method, for each round
    for i in range(args.rounds):
        print(f"{methods}, round {i + 1} of {args.rounds}", file=sys.stderr)
        for rounds, command in zip((ours, theirs), commands(args, methods)):
            rounds.append(measured(command))
    return [matched(method, a, b) for method, a, b in zip(methods.split(","), zip(*ours), zip(*theirs))]


def matched(method, ours, theirs):
    """One method's rows, those of all rounds, on both sides."""
    for name in ("method", "modules", "cuts", "batch", "image", "threads"):
        a, b = ours[0][name], theirs[0][name]
        if a != b:
            sys.exit(f"{method} is not the same on both sides: {name} is {a} here and {b} there")
    names = ["step_seconds", "activation_bytes", "peak_bytes"]
    return {"method": method, "ours": ours, "theirs": theirs, "ratios": {
        name: ratios(ours, theirs, name) for name in [*names, "peak_rss_bytes"]}}


def ratios(ours, theirs, name):
    values = [b[name] / a[name] for a, b in zip(ours, theirs) if b.get(name) is not None]
    return values and {"median": statistics.median(values), "min": min(values), "max": max(values)}


def report(results):
    first = results[0]
    a, b = first["ours"][0], first["theirs"][0]
    print(f"{a['model']}, batch {a['batch']} of {a['image']}×{a['image']}, {a['threads']} threads, {a.get('device', 'cpu')}, "
          f"{len(first['ours'])} rounds; {b['engine']} in {b['precision']} ÷ ours in {a['precision']}")
    print(f"{'method':<10} {'K':>3}  {'seconds a step':<25} {'activation bytes':<25} {'resident bytes':<25}")
    for r in results:
        cells = []
        for name in ("step_seconds", "activation_bytes", "peak_rss_bytes"):
            q = r["ratios"][name]
            cells.append(f"{q['median']:.2f} ({q['min']:.2f}–{q['max']:.2f})" if q else "not measured")
        print(f"{r['method']:<10} {r['ours'][0]['modules']:>3}  " + " ".join(f"{c:<25}" for c in cells).rstrip())


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--locus", default="bin/locus")
    p.add_argument("--python", default=sys.executable, help="the interpreter whose PyTorch is measured")
    p.add_argument("--out", required=True, help="JSON file to write")
    p.add_argument("--methods", default="bp,layerwise,sgr")
    p.add_argument("--model", default="resnet32")
    p.add_argument("--precision", default="fp32")
    p.add_argument("--peer-precision", help="PyTorch's, where it is not ours")
    p.add_argument("--head", default="conv")
    p.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N, for both")
    p.add_argument("--together", action="store_true", help="one process a side for all methods: quicker to start")
    p.add_argument("--fastest", action="store_true", help="let cuDNN choose kernels by trying, on both sides")
    p.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of our recipe alone")
    for name, default in (("modules", 3), ("batch", 128), ("image", 32), ("classes", 10), ("head-width", 0),
                          ("threads", 0), ("steps", 5), ("warmup", 2), ("rounds", 3)):
        p.add_argument(f"--{name}", type=int, default=default)
    args = p.parse_args()
    favour(args.locus)
    args.threads = args.threads or len(os.sched_getaffinity(0))
    groups = [args.methods] if args.together else args.methods.split(",")
    results = [result for methods in groups for result in compare(args, methods)]
    report(results)
    os.makedirs(os.path.dirname(args.out) or ".", exist_ok=True)
    with open(args.out, "w") as f:
        json.dump(results, f, indent=1)
    print("rows are in", args.out)


if __name__ == "__main__":
    main()
