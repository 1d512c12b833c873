#!/usr/bin/env bash
# Tries `locus study --mlflow` against a real MLflow server: a small study is trained and sent, and the server is asked
# what it has. PYTHON names a Python with mlflow; without it, mlflow is installed from PyPI into a folder that goes again.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; wait; rm -rf "$work"' EXIT
if [ -z "${PYTHON:-}" ]; then
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" -q install mlflow
    PYTHON=$work/venv/bin/python
fi
locus=${LOCUS:-bin/locus}
port=${PORT:-5917}
url=http://127.0.0.1:$port
"$PYTHON" -m mlflow server --host 127.0.0.1 --port "$port" --workers 1 --backend-store-uri "sqlite:///$work/mlflow.db" \
    --default-artifact-root "$work/artifacts" >"$work/server.log" 2>&1 &
server=$!
for _ in $(seq 300); do
    curl -fsS "$url/health" >/dev/null 2>&1 && break
    kill -0 "$server" 2>/dev/null || { cat "$work/server.log" >&2; exit 1; }
    sleep 1
done
cat >"$work/s.yaml" <<'EOF'
seeds: 2
set: [data.limit=64, data.test_limit=64, data.batch=16, model.depth=8, model.width=4, head.width=4, threads=1, schedule.epochs=2]
arms:
- {name: bp, recipe: quickstart, set: [method.name=bp]}
- {name: sgr, recipe: quickstart, set: ["method.lambda=0.01,1"]}
- {name: hot, recipe: quickstart, set: [method.name=bp, optim.lr=1000, optim.momentum=0.99]}
EOF
"$locus" study "$work/s.yaml" --out "$work/out" --mlflow "$url" 2>"$work/study.log" || { cat "$work/study.log" >&2; exit 1; }
! grep warning "$work/study.log" || exit 1
"$locus" study "$work/s.yaml" --out "$work/out" --mlflow "$url" >/dev/null # sends nothing twice
"$PYTHON" - "$url" <<'EOF'
import sys
from mlflow.tracking import MlflowClient

client = MlflowClient(sys.argv[1])
[experiment] = [e for e in client.search_experiments() if e.name == "s"]
runs = client.search_runs([experiment.experiment_id])
assert len(runs) == 8, len(runs)
for run in runs:
    name = run.data.tags["mlflow.runName"]
    arm, seed = name.split("/seed-")
    assert run.data.params["arm"] == arm and run.data.params["seed"] == seed, run.data.params
    assert run.info.status == ("FAILED" if run.data.tags["failed"] else "FINISHED"), (name, run.info.status)
    if not run.data.tags["failed"]:
        curve = client.get_metric_history(run.info.run_id, "test_acc")
        assert [m.step for m in curve] == [4, 8], curve
print(f"MLflow has {len(runs)} runs of the study, each once")
EOF
