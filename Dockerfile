# The image of `make image`, made by Docker: the same files, built by the same script with the same pinned tools.
# `tests/release` compares the two. Version, revision and time come from outside, because the context has no repository:
#
#   docker build --build-arg VERSION=0.1.0 --build-arg REVISION="$(git rev-parse HEAD)" \
#     --build-arg SOURCE_DATE_EPOCH="$(git log -1 --format=%ct)" \
#     --build-arg CREATED="$(TZ=UTC git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd)" -t certcourier .
#
# The build always runs on the builder's own platform; programs for another one (--platform) are cross-compiled.
FROM --platform=$BUILDPLATFORM rust:1.95.0-slim-bookworm@sha256:d7482085ff5b415f84dba5647ae71606650bdef00db7aeb69f4b3d170c3e4082 AS build
# The Python that fetches the C compiler and the list of CAs. What it fetches is pinned; it is not in the image itself.
RUN apt-get update && apt-get install --yes --no-install-recommends python3-venv && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY release/requirements.txt release/requirements.txt
RUN python3 -m venv /tools && /tools/bin/pip install --no-cache-dir --require-hashes --requirement release/requirements.txt
ENV RELEASE_PYTHON=/tools/bin/python
# The toolchain of the image, without the components that rust-toolchain.toml asks for.
ENV RUSTUP_TOOLCHAIN=1.95.0
COPY . .
ARG BUILDPLATFORM
ARG TARGETARCH
ARG SOURCE_DATE_EPOCH
RUN --mount=type=cache,id=certcourier-registry-$BUILDPLATFORM,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,id=certcourier-target-$BUILDPLATFORM-$TARGETARCH,target=/src/target,sharing=locked \
    release/make.sh root "$TARGETARCH" && cp -R "target/image/$TARGETARCH/root" /root-of-image

FROM scratch
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="certcourier" \
      org.opencontainers.image.description="Takes certificates out of a Kubernetes cluster under policy, with approval, through a single-use link, on the record." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.url="https://certcourier.io" \
      org.opencontainers.image.source="https://certcourier.io" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.created="$CREATED"
# The program, the CAs, and the licences.
COPY --from=build /root-of-image /
WORKDIR /
# A number, so that Kubernetes can see that it is not root.
USER 65532:65532
ENTRYPOINT ["/certcourier"]
