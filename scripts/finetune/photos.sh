#!/usr/bin/env bash
# The comparison of ways to fine-tune on photographs at 224², which docs/fine-tuning.md explains. It may be killed and started
# again: it goes on, and rows that are done are not done again. The last file it writes is OUT/summary.csv.
#
#   scripts/finetune/photos.sh resnet50|vit_s PHOTOS [OUT] [-dry] [flags of scripts/finetune]
#
# PHOTOS holds train/CLASS/* and val/CLASS/*; CIFAR-10 is found in $LOCUS_DATA. It takes one thread.
set -euo pipefail
case ${1-} in
resnet50) net=(-model resnet50 -before-lr 0.025 -lr 0.01) ;;
vit_s) net=(-model vit_s -before-optim adamw -before-lr 5e-4 -optim adamw -lr 1e-4) ;;
*) echo "photos.sh: the network is '${1-}': must be resnet50 or vit_s" >&2; exit 2 ;;
esac
photos=${2-}
[ -d "$photos/train" ] && [ -d "$photos/val" ] || { echo "photos.sh: '$photos' is no folder with train and val" >&2; exit 2; }
photos=$(cd "$photos" && pwd)
out=runs/finetune-$1
shift 2
if [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; then out=$1; shift; fi
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$(dirname "$0")/../.."
export OMP_NUM_THREADS=1
go build -o "$out/finetune" ./scripts/finetune
exec "$out/finetune" "${net[@]}" -depth 0 -head linear -precision bf16 -set folder -data "$photos" -size 224 -batch 16 \
    -old cifar10 -shared -before 0 -before-size 64 -before-epochs 4 -before-large 200 \
    -limit 800 -epochs 6 -test 500 -head-init probe -timed 3 -out "$out" \
    -only "frozen, probe;bp;bp, checkpoints;last module only;layerwise;sgr;block rotation" "$@"
