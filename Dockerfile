# One image with the three programs: `docker run … ingest-svc`, `… push-svc`, `… ringpad`.
#
# The dependencies are a layer of their own, which only Cargo.toml and Cargo.lock rebuild. The pad page is embedded from
# pad/dist, so that no Node.js is needed here.

FROM rust:1.95-slim-trixie AS chef
WORKDIR /src
# Knows how to build a workspace's dependencies without its sources.
RUN cargo install cargo-chef --version 0.1.78 --locked

FROM chef AS plan
COPY . .
RUN cargo chef prepare --recipe-path recipe.json

FROM chef AS build
COPY --from=plan /src/recipe.json recipe.json
RUN cargo chef cook --release --locked --bins -p ingest-svc -p push-svc -p ringpad --recipe-path recipe.json
COPY . .
RUN cargo build --release --locked --bins -p ingest-svc -p push-svc -p ringpad

# The same Debian as above, so that glibc is the same. Certificates of public authorities and time zones are compiled
# into the programs; bash, which asks for their health, is in the image: nothing is installed.
FROM debian:trixie-slim
RUN install -d -o 10001 -g 10001 /var/lib/ringpad
COPY --from=build /src/target/release/ingest-svc /src/target/release/push-svc /src/target/release/ringpad /usr/local/bin/
COPY --chmod=755 deploy/ready.sh /usr/local/bin/ready
# A fresh volume on this directory takes its owner over.
WORKDIR /var/lib/ringpad
USER 10001:10001
