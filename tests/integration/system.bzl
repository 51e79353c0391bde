"""system_test: a Python script that runs the real programs, with their paths in GATEPOST_BIN_*."""

def system_test(name, src, args = [], data = [], size = "large", alone = False, tags = [], **kwargs):
    """src: an executable script (#!/usr/bin/python3).

    tests/run runs these after everything is built, a few beside each other: most of their time they wait for time-outs.
    alone: what measures the machine, or loads it, runs by itself.
    """
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
        tags = tags + ["no_asan", "system"] + (["exclusive"] if alone else []),
        **kwargs
    )
