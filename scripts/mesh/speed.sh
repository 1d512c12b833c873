#!/usr/bin/env bash
# Steps of two processes of one thread beside those of one process of two, in turns, on a quiet machine with two cores
# (about four minutes). Usage: scripts/mesh/speed.sh [ROUNDS, default 2] >results/mesh-speed.csv
set -euo pipefail
cd "$(dirname "$0")/../.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
go build -o "$dir/locus" ./cmd/locus
steps=14

# one ROUND METHOD NAME ARGUMENTS... prints a row: the median step of a short run
one() {
    local round=$1 method=$2 name=$3
    shift 3
    "$dir/locus" train cifar10-resnet32-layerwise-k3 --steps $steps --out "$dir/run" --force --set method.name="$method" \
        --set data.test_limit=128 --set data.limit=8192 "$@" >/dev/null 2>"$dir/log" || { cat "$dir/log" >&2; exit 1; }
    echo "$method,\"$name\",$round,$(sed -n 's/.*"seconds_per_step": *\([0-9.e-]*\).*/\1/p' "$dir/run/summary.json" | xargs printf %.3g),scripts/mesh/speed.sh,$(git rev-parse --short HEAD),\"2 cores of an AMD EPYC\",1,1"
}

echo method,processes,round,seconds,command,commit,machine,n,seed
for round in $(seq "${1:-2}"); do
    for method in layerwise sgr; do
        one "$round" $method "1 of 2 threads" --set threads=2
        one "$round" $method "2, data parallel" --nproc 2 --set threads=1
        one "$round" $method "2, module parallel" --nproc 2 --set threads=1 --set mesh.modules=2 --set method.cuts=auto:time
    done
done
