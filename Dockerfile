# The small install with the demo: drawn in software, no GPU. Not built where it was written, where no engine was at hand;
# a linter accepts it.
#   docker build -t sim2real-reach .
#   docker run --rm -v "$PWD/demo:/project/runs/demo" sim2real-reach
FROM python:3.12-slim-bookworm

# Versions are Debian's own of this release.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        git libegl1 libgl1-mesa-dri libopengl0 libosmesa6 libusb-1.0-0 make \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /project
COPY . .
RUN pip install --no-cache-dir -c constraints.txt -e .

ENV MUJOCO_GL=egl
CMD ["python", "-m", "pipelines.demo"]
