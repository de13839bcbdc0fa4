# syntax=docker/dockerfile:1
# The command line in a slim image that runs as nobody in particular (docs/guide/install.md).
# The wheel is built in a stage of its own, so that the image has no compiler.

FROM python:3.12-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
COPY . /src
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels /src

FROM python:3.12-slim
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels pip install --no-cache-dir /wheels/*.whl
# Any user may keep downloaded models here; a volume keeps them between runs.
RUN mkdir --mode=1777 /models
ENV LOCALVQE_CACHE=/models
RUN useradd --uid 1000 --create-home localvqe
USER localvqe
WORKDIR /work
ENTRYPOINT ["localvqe"]
