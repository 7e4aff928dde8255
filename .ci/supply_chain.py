"""What is installed: known vulnerabilities (pip-audit) and licenses (pip-licenses).

Exits with 1 for a vulnerability that is not in ACCEPTED, and for a license of the GPL's family,
which only DVC brings in, but for the one of the LGPL in OF_EXTRAS. Where no advisory service
answers, that part is skipped and says so.
"""

import json
import subprocess
import sys
import tempfile
from typing import Any

ACCEPTED = {
    "CVE-2025-69872": "diskcache unpickles its files: DVC's are in a folder of this user alone",
}
THROUGH_DVC = {
    "asyncssh": "EPL or GPL, as one likes",
    "dulwich": "Apache or GPL, as one likes",
    "grandalf": "GPL 2; draws `dvc dag`",
    "pygit2": "GPL 2, which allows linking",
}
OF_EXTRAS = {
    "pi_heif": "BSD, with libheif and libde265 under the LGPL beside it; the extra `heic` alone",
}
TOOLS = ("pip", "setuptools")  # of the environment, not of the toolkit
SECONDS = 300


def say(line: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{line}\n")


def run(module: str, *options: str) -> Any:
    """Return the JSON that a tool prints, or None where it fails or prints none."""
    command = [sys.executable, "-m", module, *options]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S603
        return json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        return None


def audit(*options: str) -> list[Any]:
    """Return what pip-audit says on each package that its advisory service knows."""
    found = run("pip_audit", "--format", "json", "--progress-spinner", "off", *options)
    return [package for package in (found or {}).get("dependencies", ()) if "vulns" in package]


def check_vulnerabilities() -> bool:
    """Say which installed packages have known vulnerabilities; True if none has another one."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as one:
        one.write("diskcache==5.6.3\n")  # it has an advisory: what knows of none is no service
        one.flush()
        answer = audit("--requirement", one.name, "--no-deps", "--disable-pip")
    audited = audit() if any(package["vulns"] for package in answer) else []
    if not audited:
        say("vulnerabilities: skipped, no advisory service answers from here")
        return True
    sound = True
    for package in audited:
        if package["name"] in TOOLS:
            continue
        for problem in package["vulns"]:
            names = {problem["id"], *problem.get("aliases", ())}
            reasons = [ACCEPTED[name] for name in names if name in ACCEPTED]
            sound = sound and bool(reasons)
            where = f"{package['name']} {package['version']}, {problem['id']}"
            say(f"vulnerabilities: {where}: {reasons[0] if reasons else 'NOT ACCEPTED'}")
    say(f"vulnerabilities: {len(audited)} packages were looked up")
    return sound


def check_licenses() -> bool:
    """Say which licenses are of the GPL's family; True if only DVC brings such packages in."""
    found = run("piplicenses", "--format", "json")
    if not found:
        say("licenses: skipped, pip-licenses does not run")
        return True
    sound = True
    for package in found:
        name, license_name = package["Name"], package["License"]
        if "GPL" in license_name or "General Public" in license_name:
            reason = (THROUGH_DVC | OF_EXTRAS).get(name.lower(), "")
            sound = sound and bool(reason) and "AGPL" not in license_name
            say(f"licenses: {name}, {license_name}: {reason or 'NOT ACCEPTED'}")
    unknown = sorted(package["Name"] for package in found if package["License"] == "UNKNOWN")
    say(f"licenses: {len(found)} packages; without one in their metadata: {', '.join(unknown)}")
    return sound


if __name__ == "__main__":
    checks = [check_vulnerabilities(), check_licenses()]
    sys.exit(not all(checks))
