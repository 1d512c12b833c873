#!/usr/bin/env bash
# A Go developer's journey: the program in extend/, which has a network, a method and a data set of its own, trains, saves,
# loads and serves. It takes seconds.
#
#   examples/developer.sh [FOLDER]      where the program and its runs go; a temporary folder without
set -euo pipefail
cd "$(dirname "$0")"
out=${1:-$(mktemp -d)}
mkdir -p "$out"

echo "1. build the program"
go build -o "$out/mine" ./extend

echo "2. train its network by its method on its data"
cat >"$out/stripes.yaml" <<'YAML'
data: {set: stripes, batch: 16}
model: {name: small}
method: {name: sharp, modules: 3}
optim: {lr: 0.05}
schedule: {epochs: 4}
threads: 1
YAML
"$out/mine" train "$out/stripes.yaml" --out "$out/run" --force

echo "3. load what it saved"
"$out/mine" eval "$out/run"
"$out/mine" export "$out/run" "$out/small.safetensors"

echo "4. serve it, and ask about an image of lying stripes"
: >"$out/serve.log" # it is looked at before the server may have begun
"$out/mine" serve "$out/run" --listen 127.0.0.1:0 2>>"$out/serve.log" &
server=$!
trap 'kill $server 2>/dev/null || true' EXIT
for _ in $(seq 100); do
    address=$(sed -n 's/.* on \(http:[^,]*\),.*/\1/p' "$out/serve.log")
    [ -z "$address" ] || break
    sleep 0.1
done
[ -n "$address" ] || { echo "developer: the server has not said where it is: $(cat "$out/serve.log")" >&2; exit 1; }
answer=$(curl -sS -H 'Content-Type: application/json' \
    -d '{"images": ["iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAAAAAA6mKC9AAAAFklEQVR42mM4gQYYMASi0ACmwDAyAwC0wJEBLaB2+QAAAABJRU5ErkJggg=="]}' \
    "$address/predict")
echo "$answer"
case $answer in
*lying*) echo "developer: done, in $out" ;;
*) echo "developer: the answer names no class" >&2; exit 1 ;;
esac
