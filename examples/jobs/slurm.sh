#!/bin/bash
# Two machines of four processes: two copies of four runs of modules. sbatch slurm.sh
#SBATCH --job-name=locus
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --signal=USR1@120        # two minutes before the end: every process saves when rank 0 does
#SBATCH --requeue
set -euo pipefail

out=$SLURM_SUBMIT_DIR/runs/sgr
resume=()
[ ! -e "$out/last.safetensors" ] || resume=(--resume) # after a requeue the run goes on

# One process is what this script is; srun starts the others, on all machines, and tells them their ranks.
srun --kill-on-bad-exit=1 locus train cifar10-resnet32-sgr-k3 "${resume[@]}" --out "$out" --data "$HOME/datasets" \
    --set method.modules=4 --set mesh.modules=4 --set mesh.data=2
