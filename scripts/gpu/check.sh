#!/usr/bin/env bash
# Checks and measures on a card, most telling first, in at most 8 minutes. build.sh has put it into the folder .gpu with all that
# it needs:
#
#   bash .gpu/check.sh [PART...]     all parts, or `machine` and those named
#
# After each part its result is added to results.jsonl in the folder $OUT (else .gpu/results), and all output to output.tgz.
# scripts/gpu/report.py makes figures of results.jsonl.
set -uo pipefail
cd "$(dirname "$0")"
out=${OUT:-$PWD/results}
work=$PWD/w
mkdir -p "$out" "$work"
export PYTHONUNBUFFERED=1 LOCUS_DATA=$PWD LOCUS_TEST_DEVICE=cuda
export work python=${PYTHON:-python3} locus=$PWD/locus here=$PWD
began=$SECONDS

unpack() {
    local f
    for f in *.xz; do
        [ -e "${f%.xz}" ] || { "$python" -c 'import lzma, shutil, sys; shutil.copyfileobj(lzma.open(sys.argv[1]), sys.stdout.buffer)' "$f" >"${f%.xz}" && chmod +x "${f%.xz}"; } &
    done
    wait
    local torch
    torch=$("$python" -P -c 'import importlib.util, os; print(os.path.dirname(importlib.util.find_spec("torch").origin))')
    export LD_LIBRARY_PATH="$here:$torch/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
}

# part SECONDS NAME COMMAND... runs a part, unless others were asked for, and keeps what it prints.
part() {
    local limit=$1 name=$2 at=$SECONDS left=$((began + 475 - SECONDS)) code
    shift 2
    limit=$((limit < left ? limit : left))
    [ ${#wanted[@]} = 0 ] || [[ " machine ${wanted[*]} " == *" $name "* ]] || return 0
    if [ "$limit" -lt 5 ]; then
        echo "== $name: no time left"
        return 0
    fi
    echo "== $name"
    timeout -k 5 "$limit" bash -c '"$@"' "$name" "$@" >"$work/$name.txt" 2>&1
    code=$?
    tail -n 12 "$work/$name.txt"
    echo "== $name: exit $code, $((SECONDS - at)) s, $((SECONDS - began)) s in all"
    "$python" result.py "$name" "$code" "$((SECONDS - at))" "$work/$name.txt" "$work/$name.json" >>"$out/results.jsonl"
    tar czf "$out/output.tgz" --exclude='*.safetensors' w
}

machine() {
    nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.sm --format=csv,noheader
    cat commit
    "$locus" doctor
}

# tests PACKAGE PATTERN runs a package's tests in its folder, where their golden values are.
tests() { (cd "$1" && "$here/$(basename "$1").test" -test.run "$2" -test.v -test.timeout 300s); }

# nccl tries what processes with cards talk by: a group of one rank on one card; two ranks on one card, which NCCL refuses. Where
# there are more cards, two processes must also end with the bits of one, since a module each is lock-step.
nccl() {
    tests torch/dist 'NCCLOn' || return
    [ "$(nvidia-smi --list-gpus | wc -l)" -gt 1 ] || { echo "one card: processes were not tried"; return 0; }
    "$locus" train fashion-sgr --device cuda --steps 40 --out "$work/nccl-1" &&
        "$locus" train fashion-sgr --device cuda --steps 40 --out "$work/nccl-2" --nproc 2 --set mesh.modules=2 &&
        "$python" -c 'import sys
a, b = (open(p, "rb").read() for p in sys.argv[1:])
sys.exit(a[8 + int.from_bytes(a[:8], "little"):] != b[8 + int.from_bytes(b[:8], "little"):])' "$work"/nccl-[12]/last.safetensors &&
        echo "the same bits" &&
        "$locus" train fashion-sgr --device cuda --steps 40 --out "$work/nccl-3" --nproc 2
}

# images times batches that travel beside products. What it prints is to be read.
images() { (cd torch && "$here/torch.test" -test.run none -test.bench ImagesBesideWork -test.benchtime 40x); }

# The same run twice must end with the same bits.
repeat() {
    local run
    for run in a b; do
        "$locus" train fashion-sgr --set device=cuda --steps 60 --out "$work/repeat-$run" || return
    done
    cmp "$work"/repeat-[ab]/last.safetensors && echo "the same bits"
}

# peers NAME ARGUMENT... lets our steps and PyTorch's take turns.
peers() {
    local name=$1
    shift
    "$python" -B peers/run.py --device cuda --locus "$locus" --python "$python" --together --out "$work/$name.json" "$@"
}

# planned NAME PRECISION CUTS measures SGR on ResNet-50 where it is cut as `locus plan` finds best for memory. PyTorch's side knows
# the published cuts alone.
planned() {
    "$locus" bench --json --device cuda --model resnet50 --image 224 --batch 256 --modules 3 --methods layerwise,sgr --precision "$2" \
        --set head.name=infopro --set model.classes=1000 --set "method.cuts=$3" --steps 6 >"$work/$1.json"
}

# graphs NAME measures steps that are recorded, beside those that are not.
graphs() {
    local k set files=()
    for k in 3 16; do
        for set in false true; do
            files+=("$work/$1-$k-$set.list")
            "$locus" bench --json --device cuda --model resnet32 --batch 128 --modules $k --methods bp,layerwise,sgr \
                --set graphs=$set --warmup 5 --steps 20 >"${files[-1]}" || return
        done
    done
    "$python" -c 'import json, sys
rows = [row for name in sys.argv[2:] for row in json.load(open(name))]
json.dump(rows, open(sys.argv[1], "w"))
for r in rows:
    print(r["method"], r["modules"], "recorded" if r.get("graphs") else "", "%.2f ms" % (1e3 * r["step_seconds"]), r["peak_bytes"] >> 20, "MiB")' \
        "$work/$1.json" "${files[@]}"
}

# workspace shows whether cuDNN's room to work in is what float32 takes beyond the plan: libtorch bounds it, in MiB, by this
# variable. What it prints is to be read.
workspace() {
    local most
    for most in 64 512 4096; do
        echo "at most $most MiB"
        CUDNN_CONV_WSCAP_DBG=$most "$locus" bench --device cuda --model resnet50 --image 224 --batch 256 --modules 3 --methods bp,sgr \
            --set head.name=infopro --set model.classes=1000 --steps 2 --warmup 1 || return
    done
}

# train ends with accuracies: those of summary.json in each run's folder.
train() {
    local recipe runs=()
    for recipe in fashion-bp fashion-layerwise fashion-sgr; do
        "$locus" train "$recipe" --set device=cuda --set schedule.epochs=6 --out "$work/$recipe" || break
        runs+=("$work/$recipe/summary.json")
        "$python" -c 'import json, os, sys; print(json.dumps({p.split(os.sep)[-2]: json.load(open(p)) for p in sys.argv[1:]}))' "${runs[@]}" >"$work/train.json"
    done
    [ ${#runs[@]} = 3 ]
}

export -f machine tests images nccl repeat peers planned graphs workspace train
wanted=("$@")
r50=(--model resnet50 --image 224 --batch 256 --classes 1000 --head infopro --modules 3 --warmup 2)
unpack
part 30 machine machine
part 60 operations tests torch 'Device'
part 30 images images
part 40 layers tests nn 'AgreeWithPyTorch'
part 40 nets tests zoo 'Agree'
part 80 methods "$locus" verify --device cuda
part 40 repeat repeat
part 40 graphs graphs graphs
part 60 nccl nccl
part 60 resnet32-k3 peers resnet32-k3 --methods bp,layerwise,sgr --modules 3 --rounds 2 --steps 20 --warmup 5
part 90 resnet50-bf16 peers resnet50-bf16 "${r50[@]}" --methods bp,layerwise,sgr --precision bf16 --rounds 1 --steps 6
part 90 resnet50-fp32 peers resnet50-fp32 "${r50[@]}" --methods bp,sgr --precision fp32 --rounds 1 --steps 6
part 30 resnet50-bf16-planned planned resnet50-bf16-planned bf16 layer2.0,layer3.0
part 30 resnet50-fp32-planned planned resnet50-fp32-planned fp32 layer1.1,layer2.1
part 45 resnet32-k16 peers resnet32-k16 --methods layerwise,sgr --modules 16 --rounds 1 --steps 15 --warmup 4
part 40 vit peers vit --model vit_s --image 224 --batch 256 --classes 1000 --methods bp --modules 1 --precision bf16 --rounds 1 --steps 6
part 60 workspace workspace
part 80 train train
echo "$((SECONDS - began)) s in all; results are in $out"
