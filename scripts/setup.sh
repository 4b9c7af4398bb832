#!/usr/bin/env bash
# Checks for the tools that the project is built with. What is missing is installed where that takes
# no more rights than we have (apt as root, Homebrew); else the line to type is printed. Never sudo.
#   scripts/setup.sh        to build, run and test
#   scripts/setup.sh e2e    also a browser, for the tests of the web client in one
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$HOME/.cargo/bin:$PATH"

rust_needed=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
node_needed=20.19
postgres_needed=14

has() { command -v "$1" >/dev/null 2>&1; }

# Whether version $1 is at least $2.
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# The newest Postgres among the places that the server looks in; nothing when there is none.
postgres_version() {
    local folder
    for folder in "${PG_BIN:-}" "$(pg_config --bindir 2>/dev/null || true)" \
        /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/bin /usr/local/bin /usr/local/pgsql/bin \
        {/opt/homebrew,/usr/local,/home/linuxbrew/.linuxbrew}/opt/postgresql@*/bin \
        /Applications/Postgres.app/Contents/Versions/*/bin; do
        if [ -x "$folder/initdb" ] && [ -x "$folder/pg_ctl" ]; then
            "$folder/postgres" --version 2>/dev/null | sed -E 's/^[^0-9]*([0-9]+).*/\1/' || true
        fi
    done | sort -n | tail -n 1
}

rust_version() { rustc --version 2>/dev/null | cut -d ' ' -f 2 || true; }
node_version() { node --version 2>/dev/null | tr -d v || true; }

packages=() # for this machine's package manager
lines=()    # for a person to type

# Needs: what is missing, its package for apt, for brew.
need() {
    echo "Missing: $1"
    case $system in
    apt) packages+=($2) ;;
    brew) packages+=($3) ;;
    *) lines+=("# install $1 with this system's package manager") ;;
    esac
}

if [ "$(uname)" = Darwin ]; then
    has brew && system=brew || system=other
elif has apt-get; then
    system=apt
else
    system=other
fi

look() {
    packages=() lines=()
    if ! has cc; then
        if [ "$(uname)" = Darwin ]; then
            lines+=("xcode-select --install")
        else
            need "a C compiler" build-essential ""
        fi
    fi
    local postgres
    postgres=$(postgres_version)
    at_least "${postgres:-0}" "$postgres_needed" ||
        need "PostgreSQL $postgres_needed or newer" postgresql postgresql@17
    if ! at_least "$(node_version)" "$node_needed" || ! has npm; then
        if [ "$system" = apt ] && ! apt_has_node; then
            lines+=("# Node.js $node_needed or newer, newer than this system's package: https://nodejs.org/en/download")
        else
            need "Node.js $node_needed or newer" "$(apt_node_packages)" node
        fi
    fi
    if ! has cargo; then
        lines+=("curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y")
    elif ! at_least "$(rust_version)" "$rust_needed"; then
        if has rustup; then
            lines+=("rustup update stable && rustup default stable   # Rust $rust_needed or newer; this is $(rust_version)")
        else
            lines+=("curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y   # Rust $rust_needed or newer; this is $(rust_version)")
        fi
    elif ! cargo fmt --version >/dev/null 2>&1 || ! cargo clippy --version >/dev/null 2>&1; then
        has rustup && lines+=("rustup component add rustfmt clippy") || need "rustfmt and clippy" "rustfmt rust-clippy" rust
    fi
    if [ "${1:-}" = e2e ] && ! has chromium && ! has google-chrome; then
        need "a Chromium browser" chromium "--cask chromium"
    fi
}

apt_has_node() {
    local version
    version=$(apt-cache policy nodejs 2>/dev/null | sed -n 's/^ *Candidate: \([0-9.]*\).*/\1/p')
    at_least "${version:-0}" "$node_needed"
}

# Debian's npm stands apart; in the packages of Node.js's distributors it is inside.
apt_node_packages() {
    if apt-cache show --no-all-versions nodejs 2>/dev/null | grep -q '^Provides:.*npm'; then
        echo nodejs
    else
        echo nodejs npm
    fi
}

look "$@" >/dev/null
if [ ${#packages[@]} -eq 0 ] && [ ${#lines[@]} -eq 0 ]; then
    exit 0
fi
if [ "$system" = apt ] && [ "$(id -u)" -eq 0 ]; then
    apt-get update -qq
fi
look "$@"
if [ ${#packages[@]} -gt 0 ]; then
    if [ "$system" = apt ] && [ "$(id -u)" -eq 0 ]; then
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
        look "$@"
    elif [ "$system" = brew ] && [ "$(id -u)" -ne 0 ]; then
        brew install "${packages[@]}"
        look "$@"
    fi
fi
if [ ${#packages[@]} -gt 0 ]; then
    case $system in
    apt) lines+=("sudo apt-get update && sudo apt-get install -y ${packages[*]}") ;;
    brew) lines+=("brew install ${packages[*]}") ;;
    esac
fi
if [ ${#lines[@]} -gt 0 ]; then
    echo "Type this, then try again:"
    printf '    %s\n' "${lines[@]}"
    exit 1
fi
