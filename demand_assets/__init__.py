"""Weekly retail demand forecasting as a Dagster asset graph."""

import os

# Threads of a training that wait for each other sleep instead of spinning: where something else wants the cores,
# spinning makes it take six times as long, and where nothing does, sleeping costs nothing that could be measured.
# Read when OpenMP is loaded, so it is set before anything that brings it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
