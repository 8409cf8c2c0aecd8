# A server whose whole state is one folder, /data. BASE is any image of Debian, or one that has Python 3.11 or newer with
# its venv module.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS built
RUN python3 -c "import ensurepip, venv" 2>/dev/null || \
    (apt-get update -qq && apt-get install -y -qq --no-install-recommends python3 python3-venv >/dev/null)
WORKDIR /src
COPY requirements/run.txt requirements/build.txt requirements/
RUN python3 -m venv /opt/headcount && \
    /opt/headcount/bin/pip install --quiet --no-cache-dir --require-hashes -r requirements/run.txt && \
    /opt/headcount/bin/pip install --quiet --no-cache-dir --require-hashes --target build -r requirements/build.txt
COPY sdk sdk
COPY server server
RUN for project in sdk server; do \
      (cd $project && PYTHONPATH=/src/build /opt/headcount/bin/python -m hatchling build -t wheel -d /src/dist) || exit 1; \
    done && \
    /opt/headcount/bin/pip install --quiet --no-index --no-deps dist/*.whl

FROM ${BASE}
RUN command -v python3 >/dev/null || \
    (apt-get update -qq && apt-get install -y -qq --no-install-recommends python3 >/dev/null && rm -rf /var/lib/apt/lists/*)
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin headcount && \
    install -d -o headcount -g headcount -m 0700 /data
COPY --from=built /opt/headcount /opt/headcount
ENV PATH=/opt/headcount/bin:/usr/local/bin:/usr/bin:/bin
ENV HEADCOUNT_DATA=/data
# Plain HTTP ends at the container's own network: what publishes its ports decides who else may come, and has TLS.
ENV HEADCOUNT_TRACKING=0.0.0.0:8080 HEADCOUNT_API=0.0.0.0:8081 HEADCOUNT_ALLOW_HTTP=1
USER headcount
VOLUME /data
EXPOSE 8080 8081
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8081/healthz', timeout=4)"]
ENTRYPOINT ["headcount"]
CMD ["serve"]
