#!/usr/bin/env bash
# Sets up .venv for `make measure` and `make test`: Python, system libraries, pinned packages, this package (editable).
# Run by make; says what it does. Installs missing Debian packages itself when it may (root), else names the command.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '[set-up] %s\n' "$*"; }
fail() { printf '[set-up] ERROR: %s\n' "$*" >&2; exit 1; }

# The pinned packages have wheels for these.
suits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; }

find_python() {
    local name
    for name in ${ORTHOANGLES_PYTHON:-} python3.11 python3.12 python3.13 python3; do
        if suits "$name"; then
            command -v "$name"
            return
        fi
    done
    return 1
}

# What VTK's rendering and Qt's "offscreen" platform load: a desktop has these libraries, a bare Debian has not.
LIBRARIES="
libGL.so.1:libgl1 libEGL.so.1:libegl1 libEGL_mesa.so.0:libegl-mesa0 libOpenGL.so.0:libopengl0
libX11.so.6:libx11-6 libXrender.so.1:libxrender1 libxkbcommon.so.0:libxkbcommon0 libdbus-1.so.3:libdbus-1-3
libglib-2.0.so.0:libglib2.0-0 libfontconfig.so.1:libfontconfig1 libfreetype.so.6:libfreetype6
libbrotlidec.so.1:libbrotli1 libzstd.so.1:libzstd1 libgssapi_krb5.so.2:libgssapi-krb5-2 libgomp.so.1:libgomp1
"

# Names of the Debian packages that are missing; $1 is the Python found, or empty.
missing_packages() {
    local entry present
    if [ -z "$1" ]; then
        echo python3.11 python3.11-venv
    elif ! "$1" -c 'import venv, ensurepip' 2>/dev/null; then
        "$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'
    fi
    [ "$(uname -s)" = Linux ] || return 0
    present=$(PATH="$PATH:/sbin:/usr/sbin" ldconfig -p)
    for entry in $LIBRARIES; do
        case "$present" in
            *"${entry%%:*}"*) ;;
            *) echo "${entry##*:}" ;;
        esac
    done
    # Qt brings no font.
    [ -d /usr/share/fonts/truetype ] || echo fonts-dejavu-core
}

install_packages() {
    local command="apt-get install -y --no-install-recommends $*"
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        fail "these system packages are missing: $*
         install them, then run make again; on Debian:
             sudo apt-get update && sudo $command"
    fi
    say "installing system packages: $*"
    apt-get update -qq || say "apt-get update failed; trying with the lists that are there"
    DEBIAN_FRONTEND=noninteractive $command >/dev/null || fail "this command failed: $command"
}

started=$(date +%s)
say "this happens once: about 3 minutes; .venv takes 2.7 GB"
python=$(find_python || true)
missing=$(missing_packages "$python" | xargs)
if [ -n "$missing" ]; then
    # shellcheck disable=SC2086
    install_packages $missing
    python=$(find_python) || fail "no Python 3.11, 3.12 or 3.13 found; set ORTHOANGLES_PYTHON to one"
fi
say "Python: $python ($("$python" -c 'import platform; print(platform.python_version())'))"

if [ ! -x .venv/bin/python ] || ! suits .venv/bin/python; then
    say "creating .venv"
    "$python" -m venv --clear .venv
fi
say "installing pinned packages (requirements-lock.txt)"
.venv/bin/python -m pip install -qq --disable-pip-version-check --requirement requirements-lock.txt ||
    fail "pip could not install requirements-lock.txt; is the package index reachable?"
say "installing orthoangles from this folder"
.venv/bin/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
QT_QPA_PLATFORM=offscreen .venv/bin/python -c 'import orthoangles, slicer, torch, vtk; from PySide6 import QtWidgets' ||
    fail "the packages are installed but do not load; see the message above"
say "done in $(($(date +%s) - started)) s"
