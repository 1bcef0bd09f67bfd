#!/bin/bash
# `ready PORT`: is the service in this container ready? For the container's health check; prints the answer of /readyz.
# With bash's own TCP, since the image has no curl.
exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
printf 'GET /readyz HTTP/1.0\r\n\r\n' >&3
read -r _ status _ <&3
sed '1,/^\r$/d' <&3
[ "$status" = 200 ]
