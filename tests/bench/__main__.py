"""`python -m tests.bench [PART ...]`: everything, or some of: deployment, tasks, images; ratios within one run"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

from tests.bench import deployment, images, tasks

PARTS: Mapping[str, Callable[[], None]] = {"deployment": deployment.main, "tasks": tasks.main, "images": images.main}

wanted = sys.argv[1:] or list(PARTS)
for name in wanted:
    if name not in PARTS:
        sys.exit(f"no such part: {name}; there are {', '.join(PARTS)}")
for name in wanted:
    print(f"=== {name}", flush=True)
    PARTS[name]()
