#!/usr/bin/env bash
# What `locus plan --ranks 2` predicts beside what two processes of one thread take, on a quiet machine with two cores (about
# three minutes). Usage: scripts/mesh/predicted.sh >results/mesh-predicted.csv
set -euo pipefail
cd "$(dirname "$0")/../.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
go build -o "$dir/locus" ./cmd/locus
batch=128 steps=14

# measured METHOD ARGUMENTS... prints the median step of a short run.
measured() {
    local method=$1
    shift
    "$dir/locus" train cifar10-resnet32-layerwise-k3 --nproc 2 --steps $steps --out "$dir/run" --force --set threads=1 \
        --set method.name="$method" --set data.test_limit=128 --set data.limit=8192 --set data.batch=$batch "$@" \
        >/dev/null 2>"$dir/log" || { cat "$dir/log" >&2; exit 1; }
    sed -n 's/.*"seconds_per_step": *\([0-9.e-]*\).*/\1/p' "$dir/run/summary.json"
}

# A link of this machine's: as fast as two processes copy memory.
"$dir/locus" plan --model resnet32 --method layerwise,sgr --ranks 2 --link 8 --latency 100us --threads 1 --batch $batch --set head.name=conv --json \
    >"$dir/plan.json" 2>/dev/null

# row NAME SCHEME METHOD ARGUMENTS... prints the row of a scheme.
row() {
    local name=$1 scheme=$2 method=$3
    shift 3
    local found cuts predicted seconds
    found=$(SCHEME=$scheme python3 -c '
import json, os, sys
row = next(r for r in json.load(open(sys.argv[1]))["rows"] if r["scheme"] == os.environ["SCHEME"])
print("%.4g %s" % (row["seconds"], ",".join(row.get("cuts", []))))' "$dir/plan.json")
    predicted=${found%% *} cuts=${found#* }
    [ -z "$cuts" ] || set -- "$@" --set "method.cuts=$cuts"
    seconds=$(measured "$method" "$@")
    printf '"%s",%.3g,%.3g,%.2f,scripts/mesh/predicted.sh,%s,"2 cores of an AMD EPYC",1,1\n' "$name" "$predicted" "$seconds" \
        "$(python3 -c "print($predicted / $seconds)")" "$(git rev-parse --short HEAD)"
}

echo scheme,predicted,measured,ratio,command,commit,machine,n,seed
row "bp, data parallel" "bp, data parallel" bp
row "layerwise, 2 modules on 2 processes" layerwise layerwise --set mesh.modules=2
row "sgr, 2 modules on 2 processes" sgr sgr --set mesh.modules=2
