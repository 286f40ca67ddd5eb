# syntax=docker/dockerfile:1
# Two stages: a static binary, and an image that holds nothing else. No shell, no packages, no root.
FROM rust:1.95.0-alpine AS build
# cmake and a C compiler for aws-lc; the target is musl, so the binary needs no library of the image.
RUN apk add --no-cache build-base cmake perl
WORKDIR /src
COPY . .
# The toolchain of the image, without the components that rust-toolchain.toml asks for.
ENV RUSTUP_TOOLCHAIN=1.95.0
ENV RUSTFLAGS="-C target-feature=+crt-static -C strip=symbols"
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked --package certcourier && cp target/release/certcourier /certcourier

FROM scratch
# For --audit-sink over HTTPS with a public CA; the API server is known by the CA of the pod's service account.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /certcourier /certcourier
# A number, so that Kubernetes can see that it is not root.
USER 65532:65532
ENTRYPOINT ["/certcourier"]
