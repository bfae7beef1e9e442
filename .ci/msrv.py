"""Fails if the crate needs a dependency that wants a newer Rust than `rust-version` promises.

One toolchain is at hand, newer than the promise: what the crate itself may use is seen to by clippy's
`incompatible_msrv`, and this looks at what it brings along. Dev-dependencies may be newer: they are not built by users.
"""

import json
import subprocess
import sys

metadata = json.loads(
    subprocess.check_output(["cargo", "metadata", "--format-version=1", "--all-features"])
)
packages = {package["id"]: package for package in metadata["packages"]}
nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
root = metadata["resolve"]["root"]


def version(text):
    numbers = [int(number) for number in text.split(".")]
    return numbers + [0] * (3 - len(numbers))


# Everything that can be reached by normal and build dependencies, whatever the platform.
reached, todo = set(), [root]
while todo:
    node = todo.pop()
    if node not in reached:
        reached.add(node)
        todo += [
            dep["pkg"]
            for dep in nodes[node]["deps"]
            if any(kind["kind"] != "dev" for kind in dep["dep_kinds"])
        ]

promised = packages[root]["rust_version"]
newer = [
    f"{package['name']} {package['version']} needs Rust {package['rust_version']}"
    for package in map(packages.get, sorted(reached))
    if package["rust_version"] and version(package["rust_version"]) > version(promised)
]
print(f"msrv: {len(reached)} packages, {len(newer)} of them newer than Rust {promised}")
sys.exit("\n".join(newer) or None)
