#!/usr/bin/env bash
# Installs what the tests need and this machine has not: RabbitMQ, PostgreSQL, PgBouncer, nginx, promtool, tcpdump, Chromium with Korean letters,
# Node.js, Python. On Debian, as root or with sudo. Elsewhere it says in one line what to install.
set -euo pipefail

node_is_new_enough() {
    command -v npm >/dev/null && node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)' 2>/dev/null
}

packages=()
wanted=()
want() {
    packages+=("$1")
    wanted+=("$2")
}
command -v cc >/dev/null || want build-essential "a C compiler"
[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || want rabbitmq-server "RabbitMQ 3.10 or newer, as Debian packages it"
compgen -G "/usr/lib/postgresql/*/bin/postgres" >/dev/null || want postgresql "PostgreSQL 14 or newer, as Debian packages it"
[ -x /usr/sbin/pgbouncer ] || want pgbouncer "PgBouncer 1.18 or newer, in /usr/sbin"
command -v openssl >/dev/null || want openssl "openssl"
[ -x /usr/sbin/nginx ] || want nginx-light "nginx 1.22 or newer, in /usr/sbin"
command -v promtool >/dev/null || want prometheus "promtool, of Prometheus 2.42 or newer"
command -v tcpdump >/dev/null || want tcpdump "tcpdump, for make bench"
[ -x "${CHROMIUM_BIN:-/usr/bin/chromium}" ] || want chromium "Chromium (or set CHROMIUM_BIN)"
[ -n "$(fc-list :lang=ko 2>/dev/null | head -n 1)" ] || want fonts-noto-cjk "a Korean font"
command -v fc-list >/dev/null || want fontconfig "fontconfig"
python3 -c 'import ensurepip, venv' 2>/dev/null || want python3-venv "Python 3.10 or newer, with venv"
if ! node_is_new_enough; then
    want nodejs "Node.js 20 or newer"
    want npm "npm"
fi
[ ${#packages[@]} -gt 0 ] || exit 0

cannot() {
    local all
    all=$(printf ', %s' "${wanted[@]}")
    echo "the tests need, please install: ${all:2} ($1)" >&2
    exit 1
}

as_root=()
if [ "$(id -u)" != 0 ]; then
    sudo -n true 2>/dev/null || cannot "neither root nor sudo"
    as_root=(sudo -n)
fi
command -v apt-get >/dev/null || cannot "no apt-get here"

# A package's own service would only be in the way: the tests start private nodes.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap '"${as_root[@]}" rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
fi

echo "installing ${packages[*]}"
install() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        apt-get install --yes --quiet --no-install-recommends "${packages[@]}"
}
"${as_root[@]}" apt-get update --quiet || echo "apt-get update failed; trying with the lists there are" >&2
install || cannot "apt-get could not install them"

node_is_new_enough || { wanted=("Node.js 20 or newer, with npm"); cannot "this system's own is older"; }
