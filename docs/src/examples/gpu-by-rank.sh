#!/bin/sh
# Each rank of a machine gets a GPU of its own: mpirun -n 2 gpu-by-rank.sh zograd train --backend cuda
# (Slurm's --gpus-per-task does it by itself.)
rank=${OMPI_COMM_WORLD_LOCAL_RANK:-${MPI_LOCALRANKID:-${MV2_COMM_WORLD_LOCAL_RANK:-${SLURM_LOCALID:-0}}}}
CUDA_VISIBLE_DEVICES=$rank exec "$@"
