#!/usr/bin/env bash
# Makes bin/liblocus.so, the engine of a program that starts without libtorch. It is linked from what Go has compiled for the
# tests and for programs that are linked to libtorch: nothing is compiled twice. What is current stays as it is.
#
#   scripts/engine.sh [FILE]
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(realpath -m "${1:-bin/liblocus.so}")
packages=(torch torch/dist)

# Go keeps what it compiles under a name that stands for the content.
archives=()
read -ra flags <<<"${CGO_LDFLAGS:-}"
for package in "${packages[@]}"; do
    archives+=("$(go list -export -f '{{.Export}}' "./$package")")
    read -ra more < <(go list -f '{{join .CgoLDFLAGS " "}}' "./$package")
    flags+=("${more[@]}")
done
sources="${CXX:-g++} ${archives[*]} ${flags[*]}"
if [ -e "$out" ] && [ "$(cat "$out.from" 2>/dev/null)" = "$sources" ]; then
    exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for i in "${!packages[@]}"; do
    mkdir "$work/$i"
    (cd "$work/$i" && ar x "${archives[i]}")
    # Besides the C++ half, the archive has Go's own half and what calls from one into the other; both stay in the program.
    for object in "$work/$i"/*; do
        case $(nm -g --defined-only "$object" 2>/dev/null) in
        *" _cgo_"* | *" _cgoexp_"* | *" x_cgo_"* | "") rm -f "$object" ;;
        esac
    done
done
mkdir -p "$(dirname "$out")"
# A new file in place of the old one, which a running program may have open.
"${CXX:-g++}" -shared -o "$out.new" "$work"/*/*.o "${flags[@]}" -Wl,-Bsymbolic-functions
mv "$out.new" "$out"
echo "$sources" >"$out.from"
