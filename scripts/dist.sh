#!/usr/bin/env bash
# Packs bin/locus for a release into dist/: the program and its engine, its licence and those of the libraries in it, completion for three
# shells and manual pages. libtorch is not in it: the program is for the distribution whose libtorch it was built with.
set -euo pipefail
cd "$(dirname "$0")/.."

version=$(git describe --tags --always --dirty 2>/dev/null || echo unknown)
name=locus-$version-$(go env GOOS)-$(go env GOARCH)
rm -rf "dist/$name"
mkdir -p "dist/$name/completion" "dist/$name/man" "dist/$name/licences"

cp bin/locus bin/liblocus.so LICENSE README.md CHANGELOG.md "dist/$name/"
for shell in bash zsh fish; do
    bin/locus completion $shell >"dist/$name/completion/locus.$shell"
done
go run ./scripts/man "dist/$name/man"

# Each module that the program was linked from has its licence beside its code.
go version -m bin/locus | awk '$1 == "dep" {print $2 "@" $3}' | while read -r module; do
    folder=$(go list -m -f '{{.Dir}}' "${module%@*}")
    for file in "$folder"/LICENSE* "$folder"/COPYING*; do
        [ ! -f "$file" ] || cp "$file" "dist/$name/licences/$(echo "${module%@*}" | tr / -)-$(basename "$file")"
    done
done

tar -C dist -czf "dist/$name.tar.gz" "$name"
(cd dist && sha256sum "$name.tar.gz" >"$name.tar.gz.sha256")
echo "dist/$name.tar.gz"
