# One image that trains and serves: docker run IMAGE train, docker run IMAGE serve.
#
#   docker build -t sentiment .                                        for GPUs (and CPUs)
#   docker build -t sentiment --build-arg BASE_IMAGE=ubuntu:24.04 \
#       --build-arg TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu .     for CPUs only, and much smaller
#
# For another model, build_and_push.sh --model FOLDER copies its package to .model and its requirements to
# .model-requirements.txt, and sets MODEL_PACKAGE.
#
# Needs BuildKit (DOCKER_BUILDKIT=1 if it is not the default). No `# syntax=` line, which would pull an image from a
# registry at every build.

# "base" has only the CUDA version's compatibility libraries: CUDA itself comes with torch's wheels.
# For CPUs, any Ubuntu or Debian with Python 3.11 or 3.12 works.
ARG BASE_IMAGE=nvidia/cuda:12.6.3-base-ubuntu24.04


# The Python packages. sagemaker-training is a source package, hence the compiler.
FROM ${BASE_IMAGE} AS packages

# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        ca-certificates gcc libc6-dev python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/*

# Locked with hashes for Python 3.11 and 3.12; container/requirements.in has the command. The tests build and run the
# image with Debian 12's Python 3.11; with 3.12 the lock is resolved but untested.
COPY container/requirements.txt /tmp/
RUN --mount=type=cache,target=/root/.cache/pip \
    python3 -m venv /opt/venv \
    && /opt/venv/bin/python -m pip install --require-hashes -r /tmp/requirements.txt

# torch and its requirements (CUDA's libraries and triton; neither for CPUs) are pinned by version and index instead of
# hashes, because each index has other files. CUDA 12.6, because from torch 2.11 on no other build has code for the V100
# of ml.p3 (https://github.com/pytorch/pytorch/issues/172352; torch.cuda.PYTORCH_RELEASES_CODE_CC lists the code of each
# build). With an empty TORCH_INDEX_URL, pip's configuration chooses the index.
ARG TORCH_INDEX_URL=https://download.pytorch.org/whl/cu126
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/venv/bin/python -m pip install ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"} torch==2.13.0

# The requirements of another model, if there is one. (The brackets make the file optional.)
COPY container/strip.txt .model-requirements.tx[t] /tmp/
# hadolint ignore=DL3003,SC2046
RUN --mount=type=cache,target=/root/.cache/pip \
    if [ -f /tmp/.model-requirements.txt ]; then \
        /opt/venv/bin/python -m pip install --require-hashes -r /tmp/.model-requirements.txt; \
    fi \
    && cd /opt/venv/lib/python3.*/site-packages \
    && rm -r $(grep -v '^#' /tmp/strip.txt) \
    && find . -type d \( -name tests -o -name test \) -prune -exec rm -r {} +

# The native part of the server's netty. Otherwise each start unpacks it into /tmp and loads it from there, which fails
# where /tmp is mounted with noexec, Docker's default for --tmpfs.
RUN /opt/venv/bin/python -m zipfile -e /opt/venv/lib/python3.*/site-packages/mms/frontend/model-server.jar /tmp/jar \
    && install -D -t /opt/netty /tmp/jar/META-INF/native/libnetty_transport_native_epoll_x86_64.so

# Two trees with the same root, so that a new version of a small package does not ship torch's gigabytes again.
RUN packages=$(echo /opt/venv/lib/python3.*/site-packages) \
    && mkdir -p "/layers$packages" \
    && find "$packages" -maxdepth 1 \
        \( -name 'torch*' -o -name functorch -o -name 'nvidia*' -o -name 'triton*' \) \
        -exec mv -t "/layers$packages" {} +


# A small Java: the modules that Multi Model Server, its log4j and its netty use, and an archive of the classes that
# each start loads.
FROM ${BASE_IMAGE} AS java

# Debian and Ubuntu keep only the newest version of a package, so a pinned one soon disappears.
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends openjdk-17-jdk-headless \
    && rm -rf /var/lib/apt/lists/*
RUN jlink --output /opt/java --compress=2 --strip-java-debug-attributes --no-header-files --no-man-pages \
        --add-modules java.base,java.desktop,java.logging,java.management,java.naming,java.xml,jdk.unsupported \
    && /opt/java/bin/java -Xshare:dump

# Replaces a class of the server that fails on batches: see container/mms/README.md.
COPY --from=packages /opt/venv/lib/python3.*/site-packages/mms/frontend/model-server.jar /tmp/
COPY container/mms/java /tmp/java
RUN javac -Xlint:all -Werror -cp /tmp/model-server.jar -d /opt/classes \
        /tmp/java/com/amazonaws/ml/mms/util/codec/ModelResponseDecoder.java


# The program: readable for everyone, whatever the permissions of the checkout, and compiled, because nothing is written
# at run time.
FROM packages AS program
COPY pyproject.toml LICENSE* NOTICE* /opt/program/
COPY code /opt/program/code
COPY .mode[l] /opt/program/model/
COPY container/cuda_compat.py container/entrypoint container/serve /opt/program/container/
COPY container/mms /opt/program/container/mms
COPY container/serving /opt/program/container/serving
RUN chmod -R a+rX /opt/program && /opt/venv/bin/python -m compileall -q /opt/program


FROM ${BASE_IMAGE}

# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates nginx python3 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/apt /var/log/dpkg.log \
    && mkdir -p /opt/ml

COPY --from=java /opt/java /opt/java
COPY --from=packages /opt/netty /usr/lib
COPY --from=packages /layers /
COPY --from=packages /opt/venv /opt/venv
COPY --from=java /opt/classes /opt/program/container/mms/classes
COPY --from=program /opt/program /opt/program

# The import name of the model package.
ARG MODEL_PACKAGE=sentiment

# The toolkit runs the main() of SAGEMAKER_TRAINING_MODULE in its own process. The entry point removes this variable if
# a job names its own script.
ENV SAGEMAKER_TRAINING_MODULE=train:main \
    MODEL_PACKAGE=${MODEL_PACKAGE} \
    PATH=/opt/venv/bin:$PATH \
    JAVA_HOME=/opt/java \
    PYTHONPATH=/opt/program/code:/opt/program/model \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    LANG=C.UTF-8

ENTRYPOINT ["/opt/program/container/entrypoint"]
# SageMaker passes train or serve. The SDK's ModelTrainer passes nothing in its local container mode.
CMD ["train"]

# Set by build_and_push.sh.
ARG SOURCE=""
ARG REVISION=""
ARG VERSION=""
LABEL org.opencontainers.image.title="IMDb sentiment LSTM for Amazon SageMaker" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.version="${VERSION}" \
      com.amazonaws.sagemaker.capabilities.accept-bind-to-port="true" \
      com.amazonaws.sagemaker.capabilities.multi-models="true"
