#!/bin/bash
# A sweep in 64 parts on a Slurm cluster:
#
#     sbatch slurm-array.sh targets.txt
#
# The results are out.0.jsonl to out.63.jsonl in the directory of submission. Submitted again, every
# part goes on where it stood.
#
#SBATCH --job-name=tlsweep
#SBATCH --array=0-63
#SBATCH --cpus-per-task=1
#SBATCH --mem=1G
#SBATCH --time=24:00:00
#SBATCH --output=tlsweep.%a.log
#SBATCH --open-mode=append
# Half a minute before the time is up, to the script itself (B), which is tlsweep by then.
#SBATCH --signal=B:TERM@30
set -euo pipefail

# Not SLURM_ARRAY_TASK_COUNT: some parts may be submitted again by themselves.
parts=64
part=$SLURM_ARRAY_TASK_ID
exec tlsweep --quiet --json --concurrency 4000 \
  --file "${1:?usage: sbatch slurm-array.sh TARGETS}" \
  --shard "$part/$parts" \
  --output "out.$part.jsonl" --resume
