"""Times numpy at finding the five rows of an index most like a query, in turns with our own search: BENCH_NATIVE [ROWS WIDTH].

BENCH_NATIVE is `target/release/examples/bench_native`, as `cargo xtask bench kernels` builds it. One thread each. numpy is spared the
norms: its index and query have length 1 already, where ours takes the norm of each row as it passes.
"""

import json
import os
import subprocess
import sys
import time

os.environ.update({name: "1" for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")})

import numpy as np

ROUNDS = 5
SECONDS = 1.0
PART = 1000


def best(scores: np.ndarray, k: int) -> np.ndarray:
    few = np.argpartition(scores, -k)[-k:]
    return few[np.argsort(-scores[few])]


def numpy_seconds(index: np.ndarray, query: np.ndarray) -> float:
    """The sum of the least times of each thousand rows and of the choice among all, for that is how the other side is timed."""
    parts = [index[first : first + PART] for first in range(0, len(index), PART)]
    works = [lambda part=part: part @ query for part in parts]
    scores = index @ query
    works.append(lambda: best(scores, 5))
    least, start = [np.inf] * len(works), time.perf_counter()
    while time.perf_counter() - start < SECONDS:
        for at, work in enumerate(works):
            before = time.perf_counter()
            work()
            least[at] = min(least[at], time.perf_counter() - before)
    return sum(least)


def our_seconds(bench: str, rows: int, width: int) -> dict[str, float]:
    works = [f"read:{4 * rows * width}:0:0", f"nearest:{rows}:{width}:1"]
    lines = subprocess.run([bench, str(SECONDS), *works], check=True, capture_output=True, text=True).stdout
    found = [json.loads(line) for line in lines.splitlines()]
    return {line["work"].split(":")[0]: line["seconds"] for line in found if "work" in line}


def main() -> None:
    bench, *shape = sys.argv[1:]
    rows, width = map(int, shape) if shape else (100_000, 512)
    random = np.random.default_rng(1)
    index = random.standard_normal((rows, width), dtype=np.float32)
    index /= np.linalg.norm(index, axis=1, keepdims=True)
    least = {}
    for _ in range(ROUNDS):
        found = our_seconds(bench, rows, width) | {"numpy": numpy_seconds(index, index[7])}
        least = {name: min(seconds, least.get(name, np.inf)) for name, seconds in found.items()}
    print(json.dumps({"rows": rows, "width": width, "numpy": np.__version__, "seconds": least}))


if __name__ == "__main__":
    main()
