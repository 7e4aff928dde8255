# The commands in a container, without a GPU; docs/install.md says how to build and use it.
# BASE is any Debian or Ubuntu, such as one with CUDA; TORCH_INDEX where pip finds another build of torch.
ARG BASE=python:3.11-slim

FROM ${BASE} AS base
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git \
        $(command -v python3 > /dev/null || echo python3 python3-venv) \
    && rm -rf /var/lib/apt/lists/*
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1

FROM base AS toolkit
ARG EXTRAS=all
ARG TORCH_INDEX=
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY toolkit toolkit
RUN python3 -m venv /opt/toolkit \
    && if [ -n "${TORCH_INDEX}" ]; then \
        /opt/toolkit/bin/pip install --index-url "${TORCH_INDEX}" --constraint constraints.txt torch torchvision; \
    fi \
    && /opt/toolkit/bin/pip install --constraint constraints.txt ".[${EXTRAS}]"
ENV PATH=/opt/toolkit/bin:${PATH} HOME=/tmp
WORKDIR /project
RUN useradd worker && chown worker /project
USER worker
EXPOSE 8000
ENTRYPOINT ["toolkit"]
CMD ["--help"]
