#!/usr/bin/env bash
# An engineer's journey: from trained weights and photographs of other things to a running service. Fine-tune, evaluate,
# export ONNX, serve, ask, stop. It draws its pictures itself and takes seconds.
#
#   examples/engineer.sh [FOLDER]      where all of it goes; a temporary folder without
#
# PHOTOS names a folder of your own with train/CLASS/* and val/CLASS/*, WEIGHTS a checkpoint or published weights, and MODEL
# the network of these. SIZE is the side of the images in pixels, EPOCHS how often all are seen.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-$(mktemp -d)}
mkdir -p "$out"
locus=${LOCUS:-bin/locus}
[ -x "$locus" ] || { echo "engineer: $locus is not there: make build" >&2; exit 1; }
photos=${PHOTOS:-}
weights=${WEIGHTS:-}
size=${SIZE:-32}
model=()
[ -z "${MODEL:-}" ] || model=(--model "$MODEL")

if [ -z "$photos" ]; then
    echo "1. draw photographs: discs, rings and crosses"
    photos=$out/photos
    (cd examples && go run ./pictures "$out/photos" disc ring cross)
fi
if [ -z "$weights" ]; then
    echo "2. train a network on other things: stripes, bars and squares"
    (cd examples && go run ./pictures "$out/others" stripes bars square)
    "$locus" train finetune --data "$out/others" --out "$out/base" --force --set model.name=resnet32 --set model.depth=8 --set data.size="$size" \
        --set optim.lr=0.1 --set schedule.epochs=6 --set data.validation=0
    weights=$out/base
fi

echo "3. fine-tune it by local learning: the stem stays as it is, later blocks learn faster"
"$locus" finetune "$photos" --from "$weights" "${model[@]}" --out "$out/run" --force --set data.size="$size" --method layerwise --modules 3 \
    --freeze stem --layer-decay 0.8 --head-warmup 0.2 --set optim.lr=0.05 --epochs "${EPOCHS:-8}" 2>"$out/finetune.log"
grep -E '^(taken|resized|fresh|left over)' "$out/finetune.log"

echo "4. evaluate every head on the photographs of val"
"$locus" eval "$out/run/best.safetensors" --data "$photos"

echo "5. export it for other programs"
"$locus" export "$out/run/best.safetensors" "$out/network.onnx" --force
for file in network.onnx network.onnx.md; do
    [ -s "$out/$file" ] || { echo "engineer: $out/$file is missing" >&2; exit 1; }
done

echo "6. serve it, ask about a picture, stop"
: >"$out/serve.log" # it is looked at before the server may have begun
"$locus" serve "$out/run/best.safetensors" --listen 127.0.0.1:0 2>>"$out/serve.log" &
server=$!
trap 'kill $server 2>/dev/null || true' EXIT
for _ in $(seq 100); do
    address=$(sed -n 's/.* on \(http:[^,]*\),.*/\1/p' "$out/serve.log")
    [ -z "$address" ] || break
    sleep 0.1
done
[ -n "$address" ] || { echo "engineer: the server has not said where it is: $(cat "$out/serve.log")" >&2; exit 1; }
picture=$(find "$photos/val" -type f | sort | sed -n 1p)
answer=$(curl -sS --fail --data-binary @"$picture" "$address/predict?top=1")
echo "$answer"
curl -sS --fail "$address/metrics" | awk '/^locus_/ && !shown++' # which reads all of it, as grep -m would not
kill -TERM "$server"
wait "$server" || { echo "engineer: the server did not end well: $(cat "$out/serve.log")" >&2; exit 1; }
trap - EXIT
class=$(basename "$(dirname "$picture")")
case $answer in
*'"class"'*) echo "engineer: done, in $out; the picture shows: $class" ;;
*) echo "engineer: the answer names no class" >&2; exit 1 ;;
esac
