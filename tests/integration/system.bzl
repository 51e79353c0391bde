"""system_test: a Python script that runs the real programs, with their paths in GATEPOST_BIN_*."""

def system_test(name, src, args = [], data = [], size = "large", tags = [], **kwargs):
    """src: an executable script (#!/usr/bin/python3). Runs alone: it measures time-outs and starts many processes."""
    native.sh_test(
        name = name,
        size = size,
        srcs = [src],
        args = args,
        data = data + ["//:edge", "//:config", "//:auth", "//:gatepostctl", "//tests/integration:harness"],
        env = {
            "GATEPOST_BIN_EDGE": "$(rootpath //:edge)",
            "GATEPOST_BIN_CONFIG": "$(rootpath //:config)",
            "GATEPOST_BIN_AUTH": "$(rootpath //:auth)",
            "GATEPOST_BIN_CTL": "$(rootpath //:gatepostctl)",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        tags = tags + ["exclusive", "no_asan"],
        **kwargs
    )
