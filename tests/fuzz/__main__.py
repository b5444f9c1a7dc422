"""`python -m tests.fuzz --seconds 600 [--seed 1] [--only torch]`: fuzz by hand."""

import argparse
import sys

from tests.fuzz.run import run
from tests.fuzz.seeds import seeds


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0, help="another number makes other cases")
    parser.add_argument("--only", default="", help="seeds whose name holds this text")
    args = parser.parse_args()
    chosen = {n: d for n, d in seeds().items() if args.only in n}
    print(f"{len(chosen)} seeds")
    found = run(
        chosen, args.seconds, args.seed, lambda f: print(f"{f.cases} cases, {len(f.faults)} faults", flush=True)
    )
    print(f"{found.cases} cases: {found.opened} opened, {found.refused} refused, {len(found.faults)} faults")
    for fault in found.faults:
        print(f"\n{fault}")
    return 1 if found.faults else 0


sys.exit(main())
