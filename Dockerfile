# syntax=docker/dockerfile:1
# two-factor-server, which is the doctor too if it is called so, static, and nothing else: no shell, no package, no library, no root.
#
#     docker buildx build --tag two-factor-server .
#     docker buildx build --platform linux/amd64,linux/arm64 --tag REGISTRY/two-factor-server:0.1.0 --push .

FROM --platform=$BUILDPLATFORM rust:1.95-slim-bookworm AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# zig compiles C and links for either architecture: nothing is emulated.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates python3-venv && rm -rf /var/lib/apt/lists/* \
  && python3 -m venv /opt/zig && /opt/zig/bin/pip install --no-cache-dir cargo-zigbuild==0.24.1
ENV PATH=/opt/zig/bin:$PATH
ARG TARGETARCH
RUN case "$TARGETARCH" in arm64) arch=aarch64 ;; amd64) arch=x86_64 ;; *) echo "no $TARGETARCH" >&2; exit 1 ;; esac \
  && echo "$arch-unknown-linux-musl" >/target && rustup target add "$(cat /target)"
WORKDIR /source
COPY . .
# What one build compiled, the next one need not: dependencies are compiled again only where Cargo.lock says so.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/source/target,id=target-$TARGETARCH \
  cargo zigbuild --locked --profile server --target "$(cat /target)" \
    --package two-factor-container --features gcp \
  && mkdir /out && cp "target/$(cat /target)/server/two-factor-container" /out/two-factor-server \
  && ln -s two-factor-server /out/doctor

FROM scratch
COPY --from=build /out/ /usr/local/bin/
# Whom Google's client trusts; everything else has its list of authorities compiled in.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
USER 65532:65532
# PORT and ADMIN_PORT.
EXPOSE 8080 9090
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["/usr/local/bin/two-factor-server", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/two-factor-server"]
