# The sidecar's image. `docker build --build-arg EXTRAS=redis,s3 -t sidecar .`; docs/image.md has the rest.

# 3.11 on purpose: a pod's private memory is 4 to 10 MiB lower than on 3.13, and a fleet multiplies it.
ARG PYTHON_VERSION=3.11


FROM python:${PYTHON_VERSION}-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build

# Every package is verified by its hash before anything of it runs, and comes as a wheel: nothing is compiled.
COPY requirements.lock requirements-build.lock ./
RUN pip download --only-binary :all: --require-hashes --no-deps --dest wheels --requirement requirements.lock \
 && pip install --only-binary :all: --require-hashes --no-deps --requirement requirements-build.lock

COPY pyproject.toml README.md ./
COPY sidecar sidecar
RUN pip wheel --no-build-isolation --no-deps --wheel-dir wheels .

# Which drivers go in: a comma-separated list of extras, `all`, or nothing for the checks that need none.
# An extra that does not exist is only a warning to pip; here it ends the build, not a check in production.
# The version is pinned by there being one wheel of each.
ARG EXTRAS=all
# hadolint ignore=DL3013
RUN python -m venv --without-pip /opt/sidecar \
 && pip --python /opt/sidecar install --no-index --find-links wheels --no-compile "sidecar${EXTRAS:+[${EXTRAS}]}" \
 && IFS=', ' && for extra in ${EXTRAS}; do \
      grep -qx "Provides-Extra: ${extra}" /opt/sidecar/lib/python*/site-packages/sidecar-*.dist-info/METADATA \
      || { echo "EXTRAS: the sidecar has no extra '${extra}'" >&2; exit 1; }; \
    done

# Of 62 MiB, 41 are never read by a sidecar: debug symbols, packages' own tests, and the models of 400 AWS
# services besides S3 and the three that hand out credentials for it. Bytecode is compiled here because a
# read-only root file system cannot keep any, and is not compared with its source again at each start.
RUN find /opt/sidecar -name '*.so' -exec strip --strip-debug {} + \
 && find /opt/sidecar -type d -path '*/site-packages/*/tests' -prune -exec rm -r {} + \
 && find /opt/sidecar -type d -path '*/botocore/data/*' -prune \
      ! -name s3 ! -name sts ! -name sso ! -name sso-oidc -exec rm -r {} + \
 && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/sidecar/lib


FROM python:${PYTHON_VERSION}-slim-bookworm

# Nothing is installed in this stage, and nothing can be installed in a running container. The official image
# comes without the standard library's bytecode, which would double the time and CPU of every start.
RUN stdlib="$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" \
 && python -m pip uninstall --yes --quiet pip setuptools wheel \
 && rm -rf "${stdlib}/ensurepip" \
 && python -m compileall -q -j 0 --invalidation-mode unchecked-hash \
      -x '/(idlelib|lib2to3|pydoc_data|site-packages|tkinter|turtledemo)/' "${stdlib}"

COPY --from=build /opt/sidecar /opt/sidecar

# Log lines leave at once, and a crash in a driver's C code leaves a traceback. All threads share one heap: glibc
# gives each a heap of its own, and what one frees is of no use to the next. A buffer of 128 KiB or more takes only
# the pages that are written to, and gives them back: glibc would raise that limit with the first one that is freed.
ENV PATH=/opt/sidecar/bin:${PATH} \
    MALLOC_ARENA_MAX=1 \
    MALLOC_MMAP_THRESHOLD_=131072 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONFAULTHANDLER=1 \
    PYTHONUNBUFFERED=1

# A number, because `runAsNonRoot` cannot judge a name; any other UID works as well. It writes nowhere.
USER 65532:65532

# The main listener. The admin listener is on loopback only and is not to be published.
EXPOSE 17808

# For Docker and Compose; Kubernetes and ECS ignore it and have checks of their own.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["sidecar", "probe", "healthz"]

# The process is PID 1 and handles the signal itself: no shell and no init stands between.
STOPSIGNAL SIGTERM
ENTRYPOINT ["sidecar"]
CMD ["serve"]

# Last, because they change with every build: what stands above comes from the cache.
ARG REVISION=unknown
ARG VERSION=unknown
LABEL org.opencontainers.image.title="sidecar" \
      org.opencontainers.image.description="A pod proves its dependencies before it takes traffic" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.version="${VERSION}"
