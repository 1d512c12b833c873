#!/usr/bin/env bash
# Shows that two programs train the same networks, bit for bit: a few steps of one recipe a method family with each, and then
# a comparison of the weights.
#
#   scripts/samebits.sh BASE_PROGRAM NEW_PROGRAM [NAME...]
#
# Names choose among the runs below. It needs Fashion-MNIST, python3 and about a minute; it ends with 1 if weights differ.
set -euo pipefail

[ $# -ge 2 ] || { echo "usage: $0 BASE_PROGRAM NEW_PROGRAM [NAME...]" >&2; exit 2; }
base=$1 new=$2
shift 2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

common="--steps 12 --set threads=1 --set data.limit=96 --set data.test_limit=16 --set data.batch=16 --set model.depth=8 --set model.width=4"
units="--set model.name=plain7 --set model.depth=7 --set model.width=8"

# name: recipe and what is set beside the common part
runs="
bp: fashion-bp
layerwise: fashion-layerwise
sgr: fashion-sgr
sgr-raw: fashion-sgr --set method.normalize=false --set method.reduction=mean
sgr-part: fashion-sgr --set method.fraction=0.5 --set method.every=2
sgr-tangent: fashion-sgr --set method.gradient=tangent
sgr-double: fashion-sgr --set method.gradient=double
sgr-bf16: fashion-sgr --set precision=bf16
sgr-pipeline: fashion-sgr --set method.pipeline=3
sgr-checkpoint: fashion-sgr --set method.checkpoint=blocks
greedy: fashion-layerwise --set method.name=greedy
dgl: fashion-layerwise --set method.name=dgl
infopro: fashion-layerwise --set method.name=infopro
etf-sgr: fashion-layerwise --set method.name=etf-sgr $units
dfa: fashion-layerwise --set method.name=dfa $units
pepita: fashion-layerwise --set method.name=pepita $units
barlow-sgr: fashion-layerwise --set method.name=barlow-sgr --set data.augment=barlow --set head.widths=24,32,32
barlow-blockwise: fashion-layerwise --set method.name=barlow-blockwise --set data.augment=barlow --set head.widths=24,32,32
lars-clip: fashion-layerwise --set optim.name=lars --set optim.clip=0.5
adamw-clip: fashion-layerwise --set optim.name=adamw --set optim.lr=0.001 --set optim.clip=0.5 --set optim.accumulate=2 --set optim.ema=0.9
"

# The tensors of two files, by name, type, shape and bytes; what describes the file may differ.
compare() {
    python3 - "$1" "$2" <<'PYTHON'
import json, sys
def load(path):
    raw = open(path, "rb").read()
    n = int.from_bytes(raw[:8], "little")
    head = json.loads(raw[8 : 8 + n])
    head.pop("__metadata__", None)
    return {k: (t["dtype"], t["shape"], raw[8 + n + t["data_offsets"][0] : 8 + n + t["data_offsets"][1]]) for k, t in head.items()}
a, b = load(sys.argv[1]), load(sys.argv[2])
different = sorted(k for k in a.keys() | b.keys() if a.get(k) != b.get(k))
print(f"{len(a)} tensors, {len(different)} different" + (": " + ", ".join(different[:3]) if different else ""))
sys.exit(bool(different))
PYTHON
}

failed=0
while IFS=: read -r name arguments; do
    [ -n "$name" ] || continue
    [ $# = 0 ] || [[ " $* " == *" $name "* ]] || continue
    for side in base new; do
        # shellcheck disable=SC2086 # words on purpose
        "${!side}" train ${arguments%% --*} $common ${arguments#"${arguments%% --*}"} --out "$dir/$name-$side" >"$dir/log" 2>&1 ||
            { echo "$name: the $side program failed:"; tail -n 3 "$dir/log"; failed=1; continue 2; }
    done
    printf '%-18s' "$name"
    compare "$dir/$name-base/last.safetensors" "$dir/$name-new/last.safetensors" || failed=1
done <<<"$runs"
exit $failed
