#!/bin/sh
# `env.sh FILE` writes new secrets for docker-compose.yml and docker-compose.sqlite.yml, readable by their owner only. An existing file is
# kept: PostgreSQL, RabbitMQ and Grafana use their passwords only when their volumes are created, and pads have tokens signed with the old key.
# If it was made before there was PostgreSQL, its password is added.
set -eu
file=$1
secret() { od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n'; }
if [ -e "$file" ]; then
    if ! grep -q '^POSTGRES_PASSWORD=' "$file"; then
        printf '\nPOSTGRES_PASSWORD=%s\n' "$(secret)" >>"$file"
        echo "POSTGRES_PASSWORD added"
    fi
    echo "$file is there already, and is kept"
    exit 0
fi

# The mode from the first byte on; noclobber, in case another one writes at the same time.
umask 077
set -C
cat >"$file" <<END
# Secrets of docker-compose.yml, made by \`make env\`. Hexadecimal, so that they need no escaping in a URL.
POSTGRES_PASSWORD=$(secret)
RABBITMQ_PASSWORD=$(secret)
INTERNAL_TOKEN=$(secret)
PAD_TOKEN_SECRET=$(secret)
GRAFANA_PASSWORD=$(secret)

# Where the pad page gets its next token: your own back end, docs/integrate.md. Without it pads stop when the token that
# \`ringpad token\` printed has expired. \`/pad-token\` goes through nginx, to the address in deploy/nginx/upstreams.conf.
PAD_TOKEN_URL=
END
echo "$file written"
