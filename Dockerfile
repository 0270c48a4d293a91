# The daemon and the client as an image, for Docker, Podman or Buildah: make image. docs/container.md says how to run it.
ARG BASE=debian:trixie-slim

FROM ${BASE} AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 python3-venv
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY config config
COPY docs/man docs/man
COPY shared shared
COPY stitcherd stitcherd
COPY tui tui
RUN python3 -m venv /opt/stitcher \
 && /opt/stitcher/bin/pip install --no-cache-dir '.[github-app]'

FROM ${BASE}
ARG UID=1000
RUN apt-get update \
 && apt-get install -y --no-install-recommends bubblewrap ca-certificates git make openssh-client python3 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid "${UID}" --create-home stitcher \
 && install --directory --owner stitcher --group stitcher --mode 0700 /etc/stitcher /var/lib/stitcher
COPY --from=build /opt/stitcher /opt/stitcher
ENV PATH=/opt/stitcher/bin:/usr/local/bin:/usr/bin:/bin \
    STITCHER_CONFIG_DIR=/etc/stitcher \
    XDG_STATE_HOME=/var/lib
# A number, so that an orchestrator can tell that it is not root.
USER ${UID}
WORKDIR /home/stitcher
VOLUME /var/lib/stitcher
EXPOSE 8466
# Over the socket, so that it holds for whatever http.listen is: the daemon answers, and can read its database.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["stitcher", "ls", "state:running"]
ENTRYPOINT ["stitcherd"]
