FROM node:22-slim AS client
WORKDIR /client
COPY client/package.json client/package-lock.json ./
COPY client/realtime/package.json realtime/
RUN npm ci --no-audit --no-fund
COPY client ./
RUN npm run build

FROM rust:1.95-bookworm AS server
WORKDIR /build
COPY . .
COPY --from=client /client/dist client/dist
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked && cp target/release/estatebase /usr/local/bin/

FROM debian:bookworm-slim
# The roots that JWKS are fetched under.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --no-create-home estatebase \
    && install -d -o estatebase /data
COPY --from=server /usr/local/bin/estatebase /usr/local/bin/
USER estatebase
ENV BIND=0.0.0.0 DATA_DIR=/data
EXPOSE 8080
CMD ["estatebase", "serve"]
