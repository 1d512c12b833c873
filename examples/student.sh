#!/usr/bin/env bash
# A student's journey: three seeds of two methods, and from them a table and pictures for a paper. With the perceptron of
# the quickstart, shortened, it takes seconds; RECIPE=fashion-sgr and STEPS=-1 make it a real one.
#
#   examples/student.sh [FOLDER]      where runs and paper go; a temporary folder without
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-$(mktemp -d)}
locus=${LOCUS:-bin/locus}
recipe=${RECIPE:-quickstart}
steps=${STEPS:-60}
[ -x "$locus" ] || { echo "student: $locus is not there: make build" >&2; exit 1; }
length=()
[ "$steps" -lt 0 ] || length=(--steps "$steps" --set data.test_limit=1000)

echo "1. train three seeds of two methods"
for seed in 1 2 3; do
    for method in bp sgr; do
        "$locus" train "$recipe" --set method.name=$method --set seed=$seed "${length[@]}" --out "$out/runs/$method-$seed" --force >/dev/null 2>&1
        echo "   $method, seed $seed"
    done
done

echo "2. put them side by side"
"$locus" report "$out/runs" --by method,seed --out "$out/paper"

echo "3. put the table and a picture into a paper"
cat >"$out/paper.tex" <<'TEX'
\documentclass{article}
\usepackage{booktabs,graphicx}
\begin{document}
\input{paper/table.tex}

\includegraphics{paper/memory.pdf}
\end{document}
TEX
for file in table.md table.csv table.tex memory.pdf memory.svg memory.png index.html; do
    [ -s "$out/paper/$file" ] || { echo "student: $out/paper/$file is missing" >&2; exit 1; }
done
grep -q 'pm' "$out/paper/table.tex" || { echo "student: the table has no spread" >&2; exit 1; }
if command -v pdflatex >/dev/null; then
    (cd "$out" && pdflatex -interaction=batchmode paper.tex >/dev/null)
    echo "student: done, $out/paper.pdf"
else
    echo "student: done, in $out; pdflatex is not here to set paper.tex"
fi
